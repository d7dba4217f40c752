/* Fails the n-th write, fsync or rename on files below a folder, and counts them: loaded by LD_PRELOAD.
 *
 * FAIL_BELOW  the folder
 * FAIL_KIND   write, sync or rename
 * FAIL_AT     which one, from 1; 0 fails none
 * FAIL_LASTS  1: every later one fails, too
 * FAIL_COUNT  a file for the number of calls, written when the process ends
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static long seen;

static int is_below(const char *path) {
    const char *folder = getenv("FAIL_BELOW");
    return folder && path && strncmp(path, folder, strlen(folder)) == 0;
}

static int holds(int descriptor) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return is_below(path);
}

static int fails(const char *kind) {
    const char *wanted = getenv("FAIL_KIND"), *at = getenv("FAIL_AT"), *lasts = getenv("FAIL_LASTS");
    if (!wanted || strcmp(kind, wanted)) return 0;
    long now = __atomic_add_fetch(&seen, 1, __ATOMIC_SEQ_CST), n = at ? atol(at) : 0;
    if (n && (now == n || (lasts && *lasts == '1' && now > n))) {
        errno = EIO;
        return 1;
    }
    return 0;
}

__attribute__((destructor)) static void report(void) {
    const char *name = getenv("FAIL_COUNT");
    if (!name) return;
    FILE *file = fopen(name, "w");
    if (file) {
        fprintf(file, "%ld", seen);
        fclose(file);
    }
}

#define REAL(result, name, ...) \
    static result (*real)(__VA_ARGS__); \
    if (!real) real = (result (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

ssize_t write(int d, const void *b, size_t n) {
    REAL(ssize_t, "write", int, const void *, size_t);
    return holds(d) && fails("write") ? -1 : real(d, b, n);
}
ssize_t pwrite(int d, const void *b, size_t n, off_t o) {
    REAL(ssize_t, "pwrite", int, const void *, size_t, off_t);
    return holds(d) && fails("write") ? -1 : real(d, b, n, o);
}
ssize_t pwrite64(int d, const void *b, size_t n, off64_t o) {
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    return holds(d) && fails("write") ? -1 : real(d, b, n, o);
}
int fsync(int d) {
    REAL(int, "fsync", int);
    return holds(d) && fails("sync") ? -1 : real(d);
}
int fdatasync(int d) {
    REAL(int, "fdatasync", int);
    return holds(d) && fails("sync") ? -1 : real(d);
}
int syncfs(int d) {
    REAL(int, "syncfs", int);
    return holds(d) && fails("sync") ? -1 : real(d);
}
int rename(const char *a, const char *b) {
    REAL(int, "rename", const char *, const char *);
    return is_below(b) && fails("rename") ? -1 : real(a, b);
}
int renameat(int c, const char *a, int d, const char *b) {
    REAL(int, "renameat", int, const char *, int, const char *);
    return is_below(b) && fails("rename") ? -1 : real(c, a, d, b);
}
