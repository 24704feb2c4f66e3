// The shim's functions as a table filled by dlopen, so that a Go binary is tied
// to no libtorch and says what is missing in its own words.
#include "shim/shim.h"

#define PG_FIELD(name, params, args) char *(*name) params;
struct pg_table {
  PG_API(PG_FIELD)
};
extern struct pg_table pg_table;

#define PG_CALL(name, params, args) \
  static inline char *pg_##name params { return pg_table.name args; }
PG_API(PG_CALL)

// pg_open fills the table from the shared library at path; NULL, or dlerror's text to be freed.
char *pg_open(const char *path);

// pg_preload loads a library whose symbols those opened later will use; errors are left to them.
void pg_preload(const char *path);

// pg_blas copies the name of the kernel OpenBLAS chose; empty when another BLAS is loaded.
void pg_blas(char *name, int size);
