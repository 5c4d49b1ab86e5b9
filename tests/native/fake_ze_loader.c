/* A stand-in for libze_loader.so.1 with the ABI of Level Zero Sysman: one driver with one GPU and one CPU, whose
 * answers come from environment variables, read at every call.
 *
 * FAKE_ZE_INIT        return code of zesInit, hexadecimal (default 0)
 * FAKE_ZE_DOMAINS     zes_power_domain_t of each power domain (default "1 2": card, package)
 * FAKE_ZE_SUBDEVICE   1: the domains are a subdevice's
 * FAKE_ZE_ENERGY_UJ   the first domain's counter; the others show half of it (default 8000000)
 * FAKE_ZE_LIMIT_MW    default limit (default 300000; -1: unknown)
 * FAKE_ZE_READ        return code of reading a counter, hexadecimal (default 0)
 * FAKE_ZE_OLD         1: the driver knows no extended properties
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct { int32_t stype; void *next; uint32_t domain, bus, device, function; } pci_t; /* what follows is not filled */

typedef struct {
    int32_t stype;
    void *next;
    uint8_t on_subdevice;
    uint32_t subdevice_id;
    uint8_t can_control, threshold;
    int32_t default_limit, min_limit, max_limit;
} power_t;

typedef struct { int32_t stype; void *next; int32_t domain; void *default_limit; } power_ext_t;
typedef struct { int32_t stype; void *next; int32_t core_stype; void *core_next; int32_t core_type; } device_t;
typedef struct { uint64_t energy_uj, timestamp_us; } counter_t;

static long number(const char *name, long otherwise, int base) {
    const char *text = getenv(name);
    return text == NULL ? otherwise : strtol(text, NULL, base);
}

static uint32_t domain_of(uintptr_t index, uint32_t *count) {
    const char *text = getenv("FAKE_ZE_DOMAINS");
    char *rest = (char *)(text == NULL ? "1 2" : text);
    uint32_t found = 0;
    *count = 0;
    for (;;) {
        char *end;
        long value = strtol(rest, &end, 10);
        if (end == rest) return found;
        if ((*count)++ == index) found = (uint32_t)value;
        rest = end;
    }
}

static int list(uint32_t *count, void **handles, uint32_t n) {
    *count = n;
    for (uintptr_t i = 0; handles != NULL && i < n; i++) handles[i] = (void *)(i + 1);
    return 0;
}

int zesInit(uint32_t flags) { (void)flags; return (int)number("FAKE_ZE_INIT", 0, 16); }
int zesDriverGet(uint32_t *count, void **drivers) { return list(count, drivers, 1); }
int zesDeviceGet(void *driver, uint32_t *count, void **devices) { (void)driver; return list(count, devices, 2); }

int zesDeviceGetProperties(void *device, device_t *properties) {
    properties->core_type = (uintptr_t)device == 1 ? 1 : 2; /* GPU, CPU */
    return 0;
}

int zesDevicePciGetProperties(void *device, pci_t *properties) {
    (void)device;
    properties->domain = 0, properties->bus = 0x4d, properties->device = 0, properties->function = 0;
    return 0;
}

int zesDeviceEnumPowerDomains(void *device, uint32_t *count, void **domains) {
    uint32_t n;
    (void)device;
    domain_of(0, &n);
    return list(count, domains, n);
}

int zesPowerGetProperties(void *domain, power_t *properties) {
    uint32_t n;
    power_ext_t *extended = properties->next;
    properties->on_subdevice = (uint8_t)number("FAKE_ZE_SUBDEVICE", 0, 10);
    properties->default_limit = (int32_t)number("FAKE_ZE_LIMIT_MW", 300000, 10);
    if (extended != NULL && !number("FAKE_ZE_OLD", 0, 10)) extended->domain = (int32_t)domain_of((uintptr_t)domain - 1, &n);
    return 0;
}

int zesPowerGetEnergyCounter(void *domain, counter_t *counter) {
    counter->energy_uj = (uint64_t)number("FAKE_ZE_ENERGY_UJ", 8000000, 10) / ((uintptr_t)domain == 1 ? 1 : 2);
    counter->timestamp_us = 77;
    return (int)number("FAKE_ZE_READ", 0, 16);
}
