"""The counterpart of /var/runtime/bootstrap.py on Lambda: put code and layers on Python's path and start AWS's client.

`runtime.py` starts it in the function's environment, with the layers' folders and the handler as arguments. It cannot
import modules of this project.
"""

from __future__ import annotations

import errno
import os
import sys

# https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html: only /tmp can be written to.
WRITABLE = ("/tmp", "/dev", "/proc")  # noqa: S108 - Lambda's own
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = frozenset(
    {"os.chmod", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.truncate", "os.utime"}
)


def keep_read_only(folders: list[str]) -> None:
    """Refuse writes of the function outside of /tmp, and into these folders wherever they are, as Lambda does."""

    def refuse(event: str, given: tuple[object, ...]) -> None:
        if event in CHANGES:
            paths = given[:2]
        elif event == "open" and isinstance(given[2], int) and given[2] & WRITES:
            paths = given[:1]
        else:
            return
        for path in paths:
            # Do not follow links, which lead to the code's folder on this machine.
            if isinstance(path, (str, bytes)) and not allowed(os.path.abspath(os.fsdecode(path))):  # noqa: PTH100 - a Path follows them
                raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)

    def allowed(path: str) -> bool:
        return within(path, WRITABLE) and not within(path, folders)

    def within(path: str, parents: list[str] | tuple[str, ...]) -> bool:
        return any(path == parent or path.startswith(f"{parent}/") for parent in parents)

    sys.addaudithook(refuse)


def main() -> None:
    """Run the function until the Runtime API ends."""
    *layers, handler = sys.argv[1:]
    root, runtime, trace = (os.environ[name] for name in ("LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR", "_X_AMZN_TRACE_ID"))
    # Lambda unpacks later layers over earlier ones, so later ones come first on the path.
    sys.path[:0] = [root, *(f"{layer}/python" for layer in reversed(layers))]
    keep_read_only([root, runtime, *layers])
    from awslambdaric import __main__, bootstrap

    # Lambda sends a trace header with every event; the emulator has none.
    update = bootstrap.update_xray_env_variable
    bootstrap.update_xray_env_variable = lambda header: update(header or trace)
    __main__.main([sys.argv[0], handler])


if __name__ == "__main__":
    main()
