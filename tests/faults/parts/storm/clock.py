"""Clock: a worker's wall clock jumps, by a few lines of C that stand between it and the system.

The library is compiled where there is a C compiler, and loaded into the worker before everything else. It adds the
number of seconds in a file, looked at anew by every call, to what the system's clock says. As when a real clock is
set, the monotonic clock does not jump.
"""

import ctypes.util
import mmap
import shutil
import struct
import subprocess
from pathlib import Path

_SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static volatile long long *jump;

__attribute__((constructor)) static void open_file(void) {
    const char *path = getenv("STORM_CLOCK");
    int file = path ? open(path, O_RDONLY) : -1;
    void *mapped = file < 0 ? MAP_FAILED : mmap(NULL, sizeof(long long), PROT_READ, MAP_SHARED, file, 0);
    if (mapped != MAP_FAILED) jump = mapped;
}
static long long jumped(void) { return jump ? *jump : 0; }

int clock_gettime(clockid_t id, struct timespec *now) {
    static int (*system)(clockid_t, struct timespec *);
    if (!system) *(void **)&system = dlsym(RTLD_NEXT, "clock_gettime");
    int status = system(id, now);
    if (status == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) now->tv_sec += jumped();
    return status;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec precise;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *where) {
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    if (where) *where = precise.tv_sec;
    return precise.tv_sec;
}
"""


class Clock:
    """The wall clock of one worker. `environment` is what the worker is started with."""

    def __init__(self, library: Path, file: Path) -> None:
        file.write_bytes(bytes(8))
        with open(file, "r+b") as opened:
            self._jump = mmap.mmap(opened.fileno(), 8)
        self.environment = {"LD_PRELOAD": str(library), "STORM_CLOCK": str(file)}

    def jump(self, seconds: int) -> None:
        """Be this far from the system's clock, from now on. 0 puts it right."""
        self._jump[:8] = struct.pack("q", seconds)


def library(folder: Path) -> Path | None:
    """Compile it. None where there is no C compiler."""
    compiler = shutil.which("cc")
    if compiler is None or ctypes.util.find_library("c") is None:
        return None
    source, made = folder / "clock.c", folder / "clock.so"
    source.write_text(_SOURCE)
    command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(made), str(source), "-ldl"]
    subprocess.run(command, check=True, capture_output=True)
    return made
