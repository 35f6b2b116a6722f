"""A network namespace with nothing but a loopback device: parts that listen on all addresses are reached by nobody else.

A thread that entered it starts processes and opens connections there.
"""

import concurrent.futures
import contextlib
import ctypes
import os
import subprocess
import threading

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def _check(result):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{os.strerror(number)}: a network namespace needs root")


class Namespace:
    """Exists as long as this object or a process in it does."""

    def __init__(self):
        self.file, failed = None, []

        def make():
            try:
                _check(LIBC.unshare(CLONE_NEWNET))
                subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
                self.file = os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            except (OSError, subprocess.CalledProcessError) as error:
                failed.append(error)

        maker = threading.Thread(target=make)
        maker.start()
        maker.join()
        if failed:
            raise failed[0]

    def enter(self):
        """Takes the calling thread into it, for good."""
        _check(LIBC.setns(self.file, CLONE_NEWNET))

    def run(self, work):
        """Runs work in it, on a thread of its own; what that raises is raised here."""
        with concurrent.futures.ThreadPoolExecutor(1, initializer=self.enter) as pool:
            return pool.submit(work).result()

    @contextlib.contextmanager
    def run_all(self, jobs, at_once):
        """Runs jobs side by side in it, and gives a future for each by its name. One that has not begun at the end never does."""
        with concurrent.futures.ThreadPoolExecutor(at_once, initializer=self.enter) as pool:
            begun = {name: pool.submit(*job) for name, job in jobs.items()}
            yield begun
            for future in begun.values():
                future.cancel()

    def close(self):
        os.close(self.file)
