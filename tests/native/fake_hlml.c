/* A stand-in for libhlml.so with HLML's ABI: boards whose answers come from environment variables, read at every call.
 *
 * FAKE_HLML_INIT       return code of hlml_init (9: driver not loaded)
 * FAKE_HLML_BOARDS     number of boards (default 1), at 0000:19:00.0, 0000:1a:00.0, ...
 * FAKE_HLML_ENERGY_MJ  energy counter in mJ (default 5000); "none": not supported
 * FAKE_HLML_POWER_MW   power in mW (default 450000)
 * FAKE_HLML_LOST       1: the board is lost
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUCCESS = 0, NOT_SUPPORTED = 3, AIP_IS_LOST = 15 };

typedef struct { unsigned int bus; char bus_id[19]; } pci_t; /* what follows is not filled */

static unsigned long long number(const char *name, unsigned long long otherwise) {
    const char *text = getenv(name);
    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

static int lost(void) { return number("FAKE_HLML_LOST", 0) ? AIP_IS_LOST : SUCCESS; }

int hlml_init(void) { return (int)number("FAKE_HLML_INIT", SUCCESS); }
int hlml_shutdown(void) { return SUCCESS; }

int hlml_device_get_count(unsigned int *count) {
    *count = (unsigned int)number("FAKE_HLML_BOARDS", 1);
    return SUCCESS;
}

int hlml_device_get_handle_by_index(unsigned int index, void **device) {
    *device = (void *)(uintptr_t)(index + 1);
    return SUCCESS;
}

int hlml_device_get_name(void *device, char *name, unsigned int length) {
    (void)device;
    strncpy(name, "HL-225", length);
    return SUCCESS;
}

int hlml_device_get_pci_info(void *device, pci_t *pci) {
    snprintf(pci->bus_id, sizeof pci->bus_id, "0000:%02x:00.0", (unsigned int)(0x18 + (uintptr_t)device));
    return SUCCESS;
}

int hlml_device_get_power_management_default_limit(void *device, unsigned int *limit) {
    (void)device;
    *limit = 600000;
    return SUCCESS;
}

int hlml_device_get_power_usage(void *device, unsigned int *power) {
    (void)device;
    *power = (unsigned int)number("FAKE_HLML_POWER_MW", 450000);
    return lost();
}

int hlml_device_get_total_energy_consumption(void *device, unsigned long long *energy) {
    const char *text = getenv("FAKE_HLML_ENERGY_MJ");
    (void)device;
    if (text != NULL && strcmp(text, "none") == 0) return NOT_SUPPORTED;
    *energy = number("FAKE_HLML_ENERGY_MJ", 5000);
    return lost();
}
