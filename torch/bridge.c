#define _GNU_SOURCE
#include "bridge.h"

#include <dlfcn.h>
#include <string.h>

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
