/* Lets TorchTPU run on XLA's processor plugin: hands on the PJRT interface of the library that PJRT_SHIM_REAL names,
 * without the options of TPUs that it would refuse. Layout: openxla/xla, xla/pjrt/c/pjrt_c_api.h, major version 0,
 * whose fields only grow at the end.
 */
#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    size_t struct_size;
    void *extension;
    const void *options;
    size_t options_count;
} client_create_args;

typedef void *client_create(client_create_args *args);

typedef struct {
    size_t struct_size;
    void *extension;
    struct { size_t struct_size; void *extension; int major, minor; } version;
    void *before[10]; /* errors, plug-in, events */
    client_create *create;
} api_head;

static client_create *real_create;

static void *create_without_options(client_create_args *args) {
    args->options_count = 0;
    return real_create(args);
}

const void *GetPjrtApi(void) {
    static api_head *shimmed;
    if (shimmed != NULL) return shimmed;
    const char *path = getenv("PJRT_SHIM_REAL");
    void *library = path == NULL ? NULL : dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const api_head *(*real)(void) = library == NULL ? NULL : (const api_head *(*)(void))dlsym(library, "GetPjrtApi");
    if (real == NULL) {
        fprintf(stderr, "PJRT_SHIM_REAL names no PJRT plug-in: %s\n", path == NULL ? "it is not set" : dlerror());
        exit(1);
    }
    shimmed = malloc(real()->struct_size);
    memcpy(shimmed, real(), real()->struct_size);
    real_create = shimmed->create;
    shimmed->create = create_without_options;
    return shimmed;
}
