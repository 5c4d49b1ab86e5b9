/* What the machine itself costs and how late it wakes up: a loop in C that sleeps to absolute deadlines.
 *
 * Usage: sampler_floor SECONDS RATE_HZ [LIBRARY]. With the stand-in's path it makes the sampler's calls at each
 * deadline (the log of samples at every fourth) and tells the processor time of these calls alone.
 * Prints one line: FIGURES {JSON}.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef int (*count_call)(void *, unsigned long long *);
typedef int (*fields_call)(void *, int, void *);
typedef int (*samples_call)(void *, int, unsigned long long, int *, unsigned int *, void *);
struct field {
    unsigned int code, scope;
    long long stamp_us, latency_us;
    int value_type, code_back;
    unsigned long long value;
};
struct sample {
    unsigned long long stamp_us, value;
};

static long long now_ns(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static int by_size(const void *one, const void *other) {
    long long apart = *(const long long *)one - *(const long long *)other;
    return (apart > 0) - (apart < 0);
}

int main(int count, char **words) {
    if (count < 3) return 2;
    double rate_hz = atof(words[2]);
    int polls = (int)(atof(words[1]) * rate_hz), type;
    long long period_ns = (long long)(1e9 / rate_hz), *late_ns = calloc((size_t)polls, sizeof *late_ns), calls_ns = 0;
    void *library = count > 3 ? dlopen(words[3], RTLD_NOW) : NULL, *device = NULL;
    if (count > 3 && !library) return 3;
    count_call energy = NULL;
    fields_call fields = NULL;
    samples_call samples = NULL;
    if (library) {
        ((int (*)(unsigned int))dlsym(library, "nvmlInitWithFlags"))(0);
        ((int (*)(unsigned int, void **))dlsym(library, "nvmlDeviceGetHandleByIndex_v2"))(0, &device);
        energy = (count_call)dlsym(library, "nvmlDeviceGetTotalEnergyConsumption");
        fields = (fields_call)dlsym(library, "nvmlDeviceGetFieldValues");
        samples = (samples_call)dlsym(library, "nvmlDeviceGetSamples");
    }
    static struct sample log[120];
    unsigned long long energy_mj, seen_us = 0;
    long long cpu_ns = now_ns(CLOCK_PROCESS_CPUTIME_ID), start_ns = now_ns(CLOCK_MONOTONIC);
    for (int n = 0; n < polls; n++) {
        long long deadline_ns = start_ns + n * period_ns;
        struct timespec deadline = {deadline_ns / 1000000000, deadline_ns % 1000000000};
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, NULL)) {}
        late_ns[n] = now_ns(CLOCK_MONOTONIC) - deadline_ns;
        if (!library) continue;
        long long before_ns = now_ns(CLOCK_THREAD_CPUTIME_ID);
        struct field asked[2] = {{.code = 186}, {.code = 185}};
        unsigned int found = 120;
        energy(device, &energy_mj);
        fields(device, 2, asked);
        if (n % 4 == 0 && samples(device, 0, seen_us, &type, &found, log) == 0 && found > 0)
            seen_us = log[found - 1].stamp_us;
        calls_ns += now_ns(CLOCK_THREAD_CPUTIME_ID) - before_ns;
    }
    double wall_ns = (double)(now_ns(CLOCK_MONOTONIC) - start_ns);
    cpu_ns = now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns;
    qsort(late_ns, (size_t)polls, sizeof *late_ns, by_size);
    printf("FIGURES {\"share\": %.6f, \"calls_share\": %.6f, \"late_ms\": [%.4f, %.4f, %.4f]}\n", cpu_ns / wall_ns,
           calls_ns / wall_ns, late_ns[polls / 2] / 1e6, late_ns[(int)(0.99 * polls)] / 1e6, late_ns[polls - 1] / 1e6);
    return 0;
}
