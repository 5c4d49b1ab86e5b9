/* A stand-in for libnvidia-ml.so.1 with NVML's ABI: boards whose power follows a known curve, and whose driver can fail.
 *
 * A setting NAME is looked up (in a file for each call anew) as "boardN.name VALUE" and "name VALUE" in the file that
 * FAKE_NVML_FILE names, then as FAKE_NVML_BOARDN_NAME and FAKE_NVML_NAME in the environment. N counts boards from 0.
 * All values are whole numbers but name. The clock stands still until fake_nvml_set_time_us turns it, or is the
 * machine's wall clock with clock_real 1, so that several processes see the same boards.
 *
 * curve     power_mw (300000) is the base; from step_at_us on it is step_mw; with square_period_us it is square_mw in
 *           the first square_duty_permille (500) of each period
 * counter   the curve's integral in steps of counter_step_us (100000); starts again from 0 at reset_at_us; wraps at
 *           wrap_mj; no_counter 1: not supported; counter_return: its return code; counter_scope 1: counts the module
 * fields    scopes (1): bit mask of power scopes that answer, GPU 1, MODULE 2, MEMORY 4, GPU_BASE 8; module_only 1 is
 *           scopes 2; module_extra_mw, memory_mw: what those parts draw; energy_field 1: field 191 answers too;
 *           no_fields 1: the driver knows no fields; field_return, instant_return, average_return: codes inside them;
 *           value_type (1, unsigned int); instant_mw, average_mw: say this whatever the curve; instant_window_us (0)
 * ring      samples_period_us (0: not supported), samples_buffer (120), samples_shift_us: added to the time stamps,
 *           samples_jump_us: too, from 12 s on; samples_return_after_us: an error from then on; module_samples 1: of
 *           the module too
 * driver    init_return, usage_return, slow_us: reads take so long, slow_after: from that read on,
 *           lost_after: reads of the counter until the board is lost, lost_at_us: when it is lost
 * boards    boards (1), reversed 1: the index runs the other way; name, arch (9, Hopper), mig, vgpu
 * brakes    event_reasons: the bits; power_slowed_permille, thermal_slowed_permille: share of the time since
 *           slowed_from_us; no_violation 1: only the field values know; no_violation_fields 1: only the old call
 * limits    limit_file: holds the limit in mW for all processes (350000 without), set_return: 4: no permission
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, GPU_IS_LOST = 15,
       UNKNOWN = 999 };
enum { FI_POWER_POLICY = 74, FI_THERMAL_POLICY = 75, FI_AVERAGE = 185, FI_INSTANT = 186, FI_ENERGY = 191 };
enum { GPU, MODULE, MEMORY, GPU_BASE };
enum { MOST_BOARDS = 8, UNSIGNED_INT = 1, UNSIGNED_LONG_LONG = 3, ONE_SECOND_US = 1000000, UPDATE_US = 100000 };

typedef union {
    double d;
    int si;
    unsigned int ui;
    unsigned long ul;
    unsigned long long ull;
    long long sll;
    unsigned short us;
} value_t;

typedef struct {
    unsigned int field_id;
    unsigned int scope_id;
    long long timestamp_us;
    long long latency_us;
    int value_type;
    int nvml_return;
    value_t value;
} field_value_t;

typedef struct {
    unsigned long long timestamp_us;
    value_t value;
} sample_t;

typedef struct {
    unsigned long long reference_us;
    unsigned long long violation_ns;
} violation_t;

static int boards[MOST_BOARDS]; /* a board's handle is the address of its number */
static long reads;
static long long turned_us;

/* Not NVML's: turns the boards' clock, in microseconds. */
void fake_nvml_set_time_us(long long now_us) { turned_us = now_us; }

/* ---- settings ---- */

static const char *scenario(void) {
    static char text[16384];
    static struct timespec read_at;
    const char *path = getenv("FAKE_NVML_FILE");
    struct stat status;
    if (!path || stat(path, &status)) return "";
    if (status.st_mtim.tv_sec != read_at.tv_sec || status.st_mtim.tv_nsec != read_at.tv_nsec) {
        FILE *file = fopen(path, "r");
        if (!file) return text;
        text[0] = '\n';
        text[1 + fread(text + 1, 1, sizeof text - 2, file)] = 0;
        fclose(file);
        read_at = status.st_mtim;
    }
    return text;
}

static const char *in_scenario(const char *name) {
    static char value[256];
    char key[80];
    snprintf(key, sizeof key, "\n%s ", name);
    const char *found = strstr(scenario(), key);
    if (!found) return NULL;
    snprintf(value, sizeof value, "%.*s", (int)strcspn(found + strlen(key), "\n"), found + strlen(key));
    return value;
}

static const char *in_environment(const char *name) {
    char key[96];
    snprintf(key, sizeof key, "FAKE_NVML_%s", name);
    for (char *c = key; *c; c++) *c = *c == '.' ? '_' : *c >= 'a' && *c <= 'z' ? (char)(*c - 32) : *c;
    return getenv(key);
}

static const char *text_of(int board, const char *name) {
    char own[64];
    const char *found;
    snprintf(own, sizeof own, "board%d.%s", board, name);
    if ((found = in_scenario(own)) || (found = in_scenario(name)) || (found = in_environment(own))) return found;
    return in_environment(name);
}

/* Returns a number; without a file, whose settings may change, each is looked up once, so that a read costs little. */
static long long of(int board, const char *name, long long otherwise) {
    static struct { const char *name; int board; const char *text; } seen[512];
    static int count, with_file = -1;
    if (with_file < 0) with_file = getenv("FAKE_NVML_FILE") != NULL;
    if (with_file) {
        const char *text = text_of(board, name);
        return text ? atoll(text) : otherwise;
    }
    int i = 0;
    while (i < count && (seen[i].name != name || seen[i].board != board)) i++;
    if (i == count) {
        if (count == (int)(sizeof seen / sizeof *seen)) abort();
        seen[count].name = name;
        seen[count].board = board;
        seen[count++].text = text_of(board, name);
    }
    return seen[i].text ? atoll(seen[i].text) : otherwise;
}

static long long setting(const char *name, long long otherwise) { return of(0, name, otherwise); }

/* ---- the boards' truth: time, power, energy ---- */

static long long clock_us(void) {
    if (!setting("clock_real", 0)) return turned_us;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static int lost(int board) {
    long long after = of(board, "lost_after", -1), at_us = of(board, "lost_at_us", -1);
    return (after >= 0 && reads > after) || (at_us >= 0 && clock_us() >= at_us);
}

/* Returns what the whole curve has drawn by an instant, in mJ (mW times s). */
static long double curve_mj(int board, long double t_us) {
    long double base = of(board, "power_mw", 300000), mw_us;
    long long step_us = of(board, "step_at_us", -1), period_us = of(board, "square_period_us", 0);
    if (period_us > 0) {
        long double high = of(board, "square_mw", 0), on_us = period_us * of(board, "square_duty_permille", 500) / 1000;
        long long whole = (long long)(t_us / period_us);
        long double rest_us = t_us - (long double)whole * period_us, rest_on_us = rest_us < on_us ? rest_us : on_us;
        mw_us = whole * (high * on_us + base * (period_us - on_us)) + high * rest_on_us + base * (rest_us - rest_on_us);
    } else if (step_us >= 0 && t_us > step_us) {
        mw_us = base * step_us + of(board, "step_mw", 0) * (t_us - step_us);
    } else {
        mw_us = base * t_us;
    }
    return mw_us / ONE_SECOND_US;
}

static long double energy_mj(int board, int scope, long double t_us) {
    long double memory = of(board, "memory_mw", 0) * t_us / ONE_SECOND_US;
    if (scope == MEMORY) return memory;
    long double gpu = curve_mj(board, t_us);
    if (scope == MODULE) return gpu + of(board, "module_extra_mw", 0) * t_us / ONE_SECOND_US;
    return scope == GPU_BASE ? gpu - memory : gpu;
}

/* Returns the mean power of the time before an instant, in mW. */
static unsigned long long mean_mw(int board, int scope, long long t_us, long long window_us) {
    long long from_us = t_us > window_us ? t_us - window_us : 0;
    if (t_us <= from_us) return 0;
    long double joules = energy_mj(board, scope, t_us) - energy_mj(board, scope, from_us);
    return (unsigned long long)(joules * ONE_SECOND_US / (t_us - from_us) + 0.5L);
}

static unsigned long long counted_mj(int board, int scope) {
    long long step_us = of(board, "counter_step_us", 100000), reset_us = of(board, "reset_at_us", -1);
    long long t_us = clock_us() / step_us * step_us, wrap_mj = of(board, "wrap_mj", 0);
    long double counted = energy_mj(board, scope, t_us);
    if (reset_us >= 0 && t_us >= reset_us) counted -= energy_mj(board, scope, reset_us);
    unsigned long long whole = (unsigned long long)(counted + 0.5L);
    return wrap_mj > 0 ? whole % (unsigned long long)wrap_mj : whole;
}

static void dawdle(int board) {
    long long slow_us = of(board, "slow_us", 0);
    if (slow_us > 0 && reads >= of(board, "slow_after", 0)) usleep((useconds_t)slow_us);
}

static unsigned long long slowed_ns(int board, const char *share) {
    long long since_us = clock_us() - of(board, "slowed_from_us", 0);
    return since_us > 0 ? (unsigned long long)since_us * (unsigned long long)of(board, share, 0) : 0;
}

/* ---- NVML's functions ---- */

static int copy(const char *from, char *to, unsigned int size) {
    if (strlen(from) + 1 > size) return INSUFFICIENT_SIZE;
    strcpy(to, from);
    return SUCCESS;
}

static int number(void *device) { return *(int *)device; }

int nvmlInitWithFlags(unsigned int flags) {
    (void)flags;
    for (int i = 0; i < MOST_BOARDS; i++) boards[i] = i;
    return (int)setting("init_return", SUCCESS);
}
int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
int nvmlShutdown(void) { return SUCCESS; }
const char *nvmlErrorString(int code) {
    switch (code) {
    case NOT_SUPPORTED: return "Not Supported";
    case NOT_FOUND: return "Not Found";
    case GPU_IS_LOST: return "GPU is lost";
    case 9: return "Driver Not Loaded";
    case 4: return "Insufficient Permissions";
    default: return "Unknown Error";
    }
}

int nvmlSystemGetDriverVersion(char *text, unsigned int size) { return copy("570.00", text, size); }
int nvmlDeviceGetCount_v2(unsigned int *count) { *count = (unsigned int)setting("boards", 1); return SUCCESS; }
int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **device) {
    unsigned int count = (unsigned int)setting("boards", 1);
    if (index >= count) return INVALID_ARGUMENT;
    *device = &boards[setting("reversed", 0) ? count - 1 - index : index];
    return SUCCESS;
}
int nvmlDeviceGetUUID(void *device, char *text, unsigned int size) {
    char uuid[] = "GPU-11111111-2222-3333-4444-555555555555";
    memset(uuid + 4, '1' + number(device), 8);
    return copy(uuid, text, size);
}
int nvmlDeviceGetHandleByUUID(const char *uuid, void **device) {
    char own[48];
    for (int i = 0; i < setting("boards", 1); i++) {
        nvmlDeviceGetUUID(&boards[i], own, sizeof own);
        if (strcmp(uuid, own) == 0) {
            *device = &boards[i];
            return SUCCESS;
        }
    }
    return NOT_FOUND;
}
int nvmlDeviceGetName(void *device, char *text, unsigned int size) {
    const char *name = text_of(number(device), "name");
    return copy(name ? name : "NVIDIA H100 PCIe", text, size);
}

/* Answers that are one number: a function by each name. */
#define NUMBER(function, expression) \
    int function(void *device, unsigned int *answer) { (void)device; *answer = (unsigned int)(expression); return SUCCESS; }
NUMBER(nvmlDeviceGetArchitecture, of(number(device), "arch", 9))
NUMBER(nvmlDeviceGetVirtualizationMode, of(number(device), "vgpu", 0) ? 2 : 0)
NUMBER(nvmlDeviceGetPowerManagementDefaultLimit, 350000)
NUMBER(nvmlDeviceGetPersistenceMode, 1)
NUMBER(nvmlDeviceGetComputeMode, 0)

static int pair(unsigned int *current, unsigned int *pending, long long value) {
    *current = *pending = (unsigned int)value;
    return SUCCESS;
}
int nvmlDeviceGetMigMode(void *device, unsigned int *current, unsigned int *pending) {
    return pair(current, pending, of(number(device), "mig", 0));
}
int nvmlDeviceGetEccMode(void *device, unsigned int *current, unsigned int *pending) {
    (void)device;
    return pair(current, pending, 1);
}
int nvmlDeviceGetClockInfo(void *device, int type, unsigned int *mhz) { (void)device; (void)type; *mhz = 1755; return SUCCESS; }
int nvmlDeviceGetMaxClockInfo(void *device, int type, unsigned int *mhz) {
    return nvmlDeviceGetClockInfo(device, type, mhz);
}
int nvmlDeviceGetTemperature(void *device, int sensor, unsigned int *celsius) {
    (void)device; (void)sensor;
    *celsius = 55;
    return SUCCESS;
}
int nvmlDeviceGetMemoryInfo(void *device, unsigned long long *total_free_used) {
    (void)device;
    total_free_used[0] = total_free_used[1] = 80ULL << 30;
    total_free_used[2] = 0;
    return SUCCESS;
}
int nvmlDeviceGetUtilizationRates(void *device, unsigned int *gpu_and_memory) {
    (void)device;
    gpu_and_memory[0] = gpu_and_memory[1] = 50;
    return SUCCESS;
}
int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned int *count, void *infos) {
    (void)device; (void)infos;
    *count = 0;
    return SUCCESS;
}
int nvmlDeviceGetGraphicsRunningProcesses_v3(void *device, unsigned int *count, void *infos) {
    return nvmlDeviceGetComputeRunningProcesses_v3(device, count, infos);
}

int nvmlDeviceGetPowerManagementLimit(void *device, unsigned int *limit_mw) {
    *limit_mw = 350000;
    const char *path = text_of(number(device), "limit_file");
    FILE *file = path ? fopen(path, "r") : NULL;
    if (file && fscanf(file, "%u", limit_mw) != 1) *limit_mw = 350000;
    if (file) fclose(file);
    return SUCCESS;
}
int nvmlDeviceGetEnforcedPowerLimit(void *device, unsigned int *limit_mw) {
    return nvmlDeviceGetPowerManagementLimit(device, limit_mw);
}
int nvmlDeviceGetPowerManagementLimitConstraints(void *device, unsigned int *low_mw, unsigned int *high_mw) {
    (void)device;
    *low_mw = 200000;
    *high_mw = 350000;
    return SUCCESS;
}
int nvmlDeviceSetPowerManagementLimit(void *device, unsigned int limit_mw) {
    if (setting("set_return", SUCCESS)) return (int)setting("set_return", SUCCESS);
    const char *path = text_of(number(device), "limit_file");
    char part[4096];
    if (!path || snprintf(part, sizeof part, "%s.part", path) >= (int)sizeof part) return NOT_SUPPORTED;
    FILE *file = fopen(part, "w");
    if (!file) return NOT_SUPPORTED;
    fprintf(file, "%u\n", limit_mw);
    return fclose(file) || rename(part, path) ? NOT_SUPPORTED : SUCCESS;
}

int nvmlDeviceGetCurrentClocksEventReasons(void *device, unsigned long long *bits) {
    *bits = (unsigned long long)of(number(device), "event_reasons", 0);
    return SUCCESS;
}
int nvmlDeviceGetViolationStatus(void *device, int policy, violation_t *violation) {
    int board = number(device);
    if (of(board, "no_violation", 0) || policy > 1) return NOT_SUPPORTED;
    violation->reference_us = (unsigned long long)clock_us();
    violation->violation_ns = slowed_ns(board, policy ? "thermal_slowed_permille" : "power_slowed_permille");
    return SUCCESS;
}

int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *energy) {
    int board = number(device);
    if (of(board, "no_counter", 0)) return NOT_SUPPORTED;
    reads++;
    dawdle(board);
    if (lost(board)) return GPU_IS_LOST;
    *energy = counted_mj(board, (int)of(board, "counter_scope", GPU));
    return (int)of(board, "counter_return", SUCCESS);
}

int nvmlDeviceGetPowerUsage(void *device, unsigned int *power_mw) {
    int board = number(device);
    dawdle(board);
    if (lost(board)) return GPU_IS_LOST;
    *power_mw = (unsigned int)mean_mw(board, GPU, clock_us() / UPDATE_US * UPDATE_US, ONE_SECOND_US);
    return (int)of(board, "usage_return", SUCCESS);
}

static int answer_power(int board, field_value_t *field) {
    int instant = field->field_id == FI_INSTANT;
    long long said = of(board, instant ? "instant_mw" : "average_mw", -1);
    long long window_us = instant ? of(board, "instant_window_us", 1) : ONE_SECOND_US;
    field->value_type = (int)of(board, "value_type", UNSIGNED_INT);
    field->value.ull = said >= 0 ? (unsigned long long)said
        : mean_mw(board, (int)field->scope_id, clock_us() / UPDATE_US * UPDATE_US, window_us);
    int own = (int)of(board, instant ? "instant_return" : "average_return", SUCCESS);
    return own ? own : (int)of(board, "field_return", SUCCESS);
}

static int answer(int board, field_value_t *field) {
    long long scopes = of(board, "module_only", 0) ? 1 << MODULE : of(board, "scopes", 1 << GPU);
    int here = field->scope_id <= GPU_BASE && (scopes >> field->scope_id & 1);
    switch (field->field_id) {
    case FI_AVERAGE:
    case FI_INSTANT:
        return here ? answer_power(board, field) : NOT_SUPPORTED;
    case FI_ENERGY:
        if (!here || !of(board, "energy_field", 0)) return NOT_SUPPORTED;
        field->value.ull = counted_mj(board, (int)field->scope_id);
        break;
    case FI_POWER_POLICY:
    case FI_THERMAL_POLICY:
        if (of(board, "no_violation_fields", 0)) return NOT_SUPPORTED;
        field->value.ull = slowed_ns(board, field->field_id == FI_POWER_POLICY ? "power_slowed_permille" : "thermal_slowed_permille");
        break;
    default:
        return NOT_SUPPORTED;
    }
    field->value_type = UNSIGNED_LONG_LONG;
    return SUCCESS;
}

int nvmlDeviceGetFieldValues(void *device, int count, field_value_t *values) {
    int board = number(device);
    if (of(board, "no_fields", 0)) return NOT_SUPPORTED;
    dawdle(board);
    if (lost(board)) return GPU_IS_LOST;
    for (int i = 0; i < count; i++) {
        values[i].timestamp_us = clock_us();
        values[i].latency_us = 0;
        values[i].nvml_return = answer(board, &values[i]);
    }
    return SUCCESS;
}

int nvmlDeviceGetSamples(void *device, int type, unsigned long long last_seen_us, int *value_type, unsigned int *count,
                         sample_t *samples) {
    int board = number(device), scope = type == 7 ? MODULE : GPU;
    long long period_us = of(board, "samples_period_us", 0), shift_us = of(board, "samples_shift_us", 0);
    long long buffer = of(board, "samples_buffer", 120);
    if (period_us <= 0 || (type != 0 && !(type == 7 && of(board, "module_samples", 0)))) return NOT_SUPPORTED;
    if (lost(board)) return GPU_IS_LOST;
    if (clock_us() >= of(board, "samples_return_after_us", 1LL << 62)) return UNKNOWN;
    *value_type = UNSIGNED_INT;
    if (!samples) { /* the first of two calls asks how many there can be */
        *count = (unsigned int)buffer;
        return SUCCESS;
    }
    long long newest = clock_us() / period_us, jump_us = of(board, "samples_jump_us", 0);
    unsigned int filled = 0;
    for (long long n = newest > buffer ? newest - buffer + 1 : 1; n <= newest && filled < *count; n++) {
        long long stamp_us = n * period_us + shift_us + (n * period_us > 12000000 ? jump_us : 0);
        if (stamp_us <= (long long)last_seen_us) continue;
        samples[filled].timestamp_us = (unsigned long long)stamp_us;
        samples[filled].value.ull = 0;
        samples[filled++].value.ui = (unsigned int)mean_mw(board, scope, n * period_us, period_us);
    }
    *count = filled;
    return filled ? SUCCESS : NOT_FOUND;
}
