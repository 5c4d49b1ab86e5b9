/* A stand-in for libnvidia-ml.so.1 with NVML's ABI: one board whose answers come from environment variables.
 * Its clock stands still until fake_nvml_set_time_us turns it.
 *
 * FAKE_NVML_POWER_MW       constant power in mW (default 300000); the counter integrates it in steps of 100 ms
 * FAKE_NVML_NAME           board name (default "NVIDIA H100 PCIe")
 * FAKE_NVML_ARCH           NVML_DEVICE_ARCH_* number (default 9, Hopper)
 * FAKE_NVML_MIG            1: MIG mode is on
 * FAKE_NVML_VGPU           1: the board is a vGPU
 * FAKE_NVML_NO_COUNTER     1: the energy counter is not supported
 * FAKE_NVML_NO_FIELDS      1: the driver knows no field values at all
 * FAKE_NVML_FIELD_RETURN   return code inside every field value (3: not supported, 0: fine)
 * FAKE_NVML_MODULE_ONLY    1: power fields answer in the module scope only
 * FAKE_NVML_VALUE_TYPE     type of a field's value (default 1, unsigned int; 3 unsigned long long)
 * FAKE_NVML_INIT_RETURN    return code of nvmlInit
 * FAKE_NVML_LOST_AFTER     the board is lost after so many reads of its counter
 * FAKE_NVML_LIMIT_FILE     holds the power limit in mW, for all processes that load the library (default 350000)
 * FAKE_NVML_SET_RETURN     return code of setting the power limit (4: no permission)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, GPU_IS_LOST = 15 };
enum { FI_POWER_AVERAGE = 185, FI_POWER_INSTANT = 186, SCOPE_GPU = 0, SCOPE_MODULE = 1 };

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

static const char *const UUID = "GPU-11111111-2222-3333-4444-555555555555";
static int board;
static long reads;

static long setting(const char *name, long otherwise) {
    const char *text = getenv(name);
    return text ? atol(text) : otherwise;
}

static long long clock_us;

/* Not NVML's: turns the board's clock, in microseconds. */
void fake_nvml_set_time_us(long long now_us) { clock_us = now_us; }

static int lost(void) {
    long after = setting("FAKE_NVML_LOST_AFTER", -1);
    return after >= 0 && reads > after;
}

static int copy(const char *from, char *to, unsigned int size) {
    if (strlen(from) + 1 > size) return INSUFFICIENT_SIZE;
    strcpy(to, from);
    return SUCCESS;
}

int nvmlInitWithFlags(unsigned int flags) { (void)flags; return (int)setting("FAKE_NVML_INIT_RETURN", SUCCESS); }
int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
int nvmlShutdown(void) { return SUCCESS; }
const char *nvmlErrorString(int code) {
    switch (code) {
    case NOT_SUPPORTED: return "Not Supported";
    case GPU_IS_LOST: return "GPU is lost";
    case 9: return "Driver Not Loaded";
    case 4: return "Insufficient Permissions";
    default: return "Unknown Error";
    }
}

int nvmlSystemGetDriverVersion(char *text, unsigned int size) { return copy("570.00", text, size); }
int nvmlDeviceGetCount_v2(unsigned int *count) { *count = 1; return SUCCESS; }
int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **device) {
    if (index != 0) return INVALID_ARGUMENT;
    *device = &board;
    return SUCCESS;
}
int nvmlDeviceGetUUID(void *device, char *text, unsigned int size) {
    (void)device;
    return copy(UUID, text, size);
}
int nvmlDeviceGetName(void *device, char *text, unsigned int size) {
    (void)device;
    const char *name = getenv("FAKE_NVML_NAME");
    return copy(name ? name : "NVIDIA H100 PCIe", text, size);
}
int nvmlDeviceGetArchitecture(void *device, unsigned int *architecture) {
    (void)device;
    *architecture = (unsigned int)setting("FAKE_NVML_ARCH", 9);
    return SUCCESS;
}
int nvmlDeviceGetMigMode(void *device, unsigned int *current, unsigned int *pending) {
    (void)device;
    *current = *pending = (unsigned int)setting("FAKE_NVML_MIG", 0);
    return SUCCESS;
}
int nvmlDeviceGetVirtualizationMode(void *device, unsigned int *mode) {
    (void)device;
    *mode = setting("FAKE_NVML_VGPU", 0) ? 2 : 0;
    return SUCCESS;
}
int nvmlDeviceGetHandleByUUID(const char *uuid, void **device) {
    if (strcmp(uuid, UUID) != 0) return NOT_FOUND;
    *device = &board;
    return SUCCESS;
}

int nvmlDeviceGetPowerManagementLimit(void *device, unsigned int *limit_mw) {
    (void)device;
    *limit_mw = 350000;
    const char *path = getenv("FAKE_NVML_LIMIT_FILE");
    FILE *file = path ? fopen(path, "r") : NULL;
    if (file && fscanf(file, "%u", limit_mw) != 1) *limit_mw = 350000;
    if (file) fclose(file);
    return SUCCESS;
}
int nvmlDeviceGetPowerManagementLimitConstraints(void *device, unsigned int *low_mw, unsigned int *high_mw) {
    (void)device;
    *low_mw = 200000;
    *high_mw = 350000;
    return SUCCESS;
}
int nvmlDeviceSetPowerManagementLimit(void *device, unsigned int limit_mw) {
    (void)device;
    if (setting("FAKE_NVML_SET_RETURN", SUCCESS)) return (int)setting("FAKE_NVML_SET_RETURN", SUCCESS);
    const char *path = getenv("FAKE_NVML_LIMIT_FILE");
    char part[4096];
    if (!path || snprintf(part, sizeof part, "%s.part", path) >= (int)sizeof part) return NOT_SUPPORTED;
    FILE *file = fopen(part, "w");
    if (!file) return NOT_SUPPORTED;
    fprintf(file, "%u\n", limit_mw);
    return fclose(file) || rename(part, path) ? NOT_SUPPORTED : SUCCESS;
}
int nvmlDeviceGetEnforcedPowerLimit(void *device, unsigned int *limit_mw) {
    return nvmlDeviceGetPowerManagementLimit(device, limit_mw);
}

int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned int *count, void *infos) {
    (void)device;
    (void)infos;
    *count = 0;
    return SUCCESS;
}
int nvmlDeviceGetGraphicsRunningProcesses_v3(void *device, unsigned int *count, void *infos) {
    return nvmlDeviceGetComputeRunningProcesses_v3(device, count, infos);
}

int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *energy_mj) {
    (void)device;
    if (setting("FAKE_NVML_NO_COUNTER", 0)) return NOT_SUPPORTED;
    reads++;
    if (lost()) return GPU_IS_LOST;
    long long step_us = clock_us / 100000 * 100000;
    *energy_mj = (unsigned long long)(step_us / 1e6 * (double)setting("FAKE_NVML_POWER_MW", 300000));
    return SUCCESS;
}

int nvmlDeviceGetPowerUsage(void *device, unsigned int *power_mw) {
    (void)device;
    if (lost()) return GPU_IS_LOST;
    *power_mw = (unsigned int)setting("FAKE_NVML_POWER_MW", 300000);
    return SUCCESS;
}

int nvmlDeviceGetFieldValues(void *device, int count, field_value_t *values) {
    (void)device;
    if (setting("FAKE_NVML_NO_FIELDS", 0)) return NOT_SUPPORTED;
    if (lost()) return GPU_IS_LOST;
    for (int i = 0; i < count; i++) {
        int known = values[i].field_id == FI_POWER_AVERAGE || values[i].field_id == FI_POWER_INSTANT;
        int wanted = setting("FAKE_NVML_MODULE_ONLY", 0) ? SCOPE_MODULE : SCOPE_GPU;
        values[i].nvml_return = known && (int)values[i].scope_id == wanted
            ? (int)setting("FAKE_NVML_FIELD_RETURN", SUCCESS) : NOT_SUPPORTED;
        values[i].value_type = (int)setting("FAKE_NVML_VALUE_TYPE", 1);
        values[i].timestamp_us = clock_us;
        values[i].latency_us = 0;
        values[i].value.ull = (unsigned long long)setting("FAKE_NVML_POWER_MW", 300000);
    }
    return SUCCESS;
}
