/* A stand-in for libamd_smi.so with the ABI of amdsmi 7: GPUs whose answers come from environment variables, read at
 * every call. The test adds a function that answers "not supported" for each symbol that is not here.
 *
 * FAKE_AMDSMI_GPUS        number of GPUs (default 1), at 0000:03:00.0, 0000:04:00.0, ...
 * FAKE_AMDSMI_NAME        market name (default "AMD Instinct MI300X")
 * FAKE_AMDSMI_ACCUMULATOR energy accumulator in steps of 15.3 uJ (default 1000000); "none": not supported, as in guests
 * FAKE_AMDSMI_CURRENT     current socket power in W (default 65535: not available)
 * FAKE_AMDSMI_AVERAGE     average socket power in W (default 65535)
 * FAKE_AMDSMI_SOCKET      socket power in W (default 65535)
 * FAKE_AMDSMI_CAP_UW      power cap in uW (default 750000000)
 * FAKE_AMDSMI_LOST        1: every read fails
 * FAKE_AMDSMI_INIT        return code of amdsmi_init
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUCCESS = 0, NOT_SUPPORTED = 2, NO_DATA = 40 };

typedef struct {
    uint64_t socket_power;
    uint32_t current_socket_power, average_socket_power;
    uint64_t gfx_voltage, soc_voltage, mem_voltage;
    uint32_t power_limit, padding;
    uint64_t reserved[18];
} power_info_t;

typedef struct {
    uint64_t power_cap, default_power_cap, dpm_cap, min_power_cap, max_power_cap, reserved[3];
} power_cap_info_t;

typedef struct {
    char market_name[256];
    uint32_t vendor_id;
    char vendor_name[256];
    uint32_t subvendor_id;
    uint64_t device_id;
    uint32_t rev_id;
    char asic_serial[256];
    uint32_t oam_id, num_of_compute_units, padding;
    uint64_t target_graphics_version;
    uint32_t subsystem_id, reserved[21];
} __attribute__((packed)) asic_info_t;

static uint64_t number(const char *name, uint64_t otherwise) {
    const char *text = getenv(name);
    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

static int lost(void) { return number("FAKE_AMDSMI_LOST", 0) ? NO_DATA : SUCCESS; }

int amdsmi_init(uint64_t flags) {
    puts("fake amdsmi talks on standard output");
    fputs("fake amdsmi talks on standard error\n", stderr);
    (void)flags;
    return (int)number("FAKE_AMDSMI_INIT", SUCCESS);
}

int amdsmi_shut_down(void) { return SUCCESS; }

int amdsmi_get_socket_handles(uint32_t *count, void **handles) {
    *count = 1;
    if (handles != NULL) handles[0] = (void *)0x1000;
    return SUCCESS;
}

int amdsmi_get_processor_handles(void *socket, uint32_t *count, void **handles) {
    (void)socket;
    *count = (uint32_t)number("FAKE_AMDSMI_GPUS", 1);
    for (uintptr_t i = 0; handles != NULL && i < *count; i++) handles[i] = (void *)(i + 1);
    return SUCCESS;
}

int amdsmi_get_gpu_device_bdf(void *handle, uint64_t *bdf) {
    *bdf = ((uint64_t)(uintptr_t)handle + 2) << 8; /* function:3 device:5 bus:8 domain:48 */
    return SUCCESS;
}

int amdsmi_get_energy_count(void *handle, uint64_t *accumulator, float *resolution, uint64_t *timestamp) {
    const char *text = getenv("FAKE_AMDSMI_ACCUMULATOR");
    (void)handle;
    if (text != NULL && strcmp(text, "none") == 0) return NOT_SUPPORTED;
    *accumulator = number("FAKE_AMDSMI_ACCUMULATOR", 1000000);
    *resolution = 15.3f;
    *timestamp = 123456789;
    return lost();
}

int amdsmi_get_power_info(void *handle, power_info_t *info) {
    (void)handle;
    memset(info, 0, sizeof *info);
    info->socket_power = number("FAKE_AMDSMI_SOCKET", 0xFFFF);
    info->current_socket_power = (uint32_t)number("FAKE_AMDSMI_CURRENT", 0xFFFF);
    info->average_socket_power = (uint32_t)number("FAKE_AMDSMI_AVERAGE", 0xFFFF);
    return lost();
}

int amdsmi_get_power_cap_info(void *handle, uint32_t sensor, power_cap_info_t *info) {
    (void)handle, (void)sensor;
    memset(info, 0, sizeof *info);
    info->power_cap = number("FAKE_AMDSMI_CAP_UW", 750000000);
    return SUCCESS;
}

int amdsmi_get_gpu_asic_info(void *handle, asic_info_t *info) {
    const char *name = getenv("FAKE_AMDSMI_NAME");
    (void)handle;
    memset(info, 0, sizeof *info);
    strcpy(info->market_name, name == NULL ? "AMD Instinct MI300X" : name);
    strcpy(info->vendor_name, "Advanced Micro Devices Inc. [AMD/ATI]");
    strcpy(info->asic_serial, "0123456789ABCDEF");
    return SUCCESS;
}
