#define _GNU_SOURCE
#include "bridge.h"

#include <dlfcn.h>
#include <string.h>
#ifdef __GLIBC__
#include <malloc.h>

// Activations come and go in every step: keep their pages instead of returning
// them to the system, which would clear them again each time. Not even the
// largest are mapped each for itself, and all threads share one heap, as the
// others cannot hold the large ones; so this comes before there are threads.
__attribute__((constructor)) static void keep_pages(void) {
  mallopt(M_ARENA_MAX, 1);
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 16 << 20);
}
#endif

struct pg_table pg_table;

char *pg_open(const char *path) {
  void *library = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
  if (library == NULL) return strdup(dlerror());
#define PG_LOAD(name, params, args) \
  if ((*(void **)&pg_table.name = dlsym(library, "pg_" #name)) == NULL) return strdup(dlerror());
  PG_API(PG_LOAD)
  return NULL;
}

void pg_preload(const char *path) { dlopen(path, RTLD_NOW | RTLD_GLOBAL); }

void pg_blas(char *name, int size) {
  char *(*core)(void) = (char *(*)(void))dlsym(RTLD_DEFAULT, "openblas_get_corename");
  name[0] = 0;
  if (core != NULL) strncpy(name, core(), size - 1);
  name[size - 1] = 0;
}
