"""An environment of its own, as the author of a plugin has one, on top of the tests' packages."""

import os
import sys
import sysconfig
from pathlib import Path

from support.processes import run

_SCRIPT = '#!/bin/sh\nexec "{python}" -m {module} "$@"\n'


class Outsider:
    """A virtual environment in a folder: what is installed in it, the tests do not see.

    Its packages come before those that the tests run on, which it sees too, and nothing is
    downloaded: the backend that builds packages has to be among them.
    """

    def __init__(self, folder: Path):
        made = run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"])
        assert made.returncode == 0, made.stderr
        scripts = folder / "venv" / "bin"
        self.python = scripts / "python"
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        own = folder / "venv" / "lib" / version / "site-packages"
        # Through site, so that packages which are installed editable are found as well.
        below = sysconfig.get_path("purelib")
        (own / "zz-below.pth").write_text(f"import site; site.addsitedir({below!r})\n", "utf-8")
        for module in ("pip", "mlmref", "pytest"):
            (scripts / module).write_text(
                _SCRIPT.format(python=self.python, module=module), "utf-8"
            )
            (scripts / module).chmod(0o755)
        path = os.pathsep.join([str(scripts), os.environ["PATH"]])
        # pip reads the second as the option's value: False is "no build isolation".
        self.env = os.environ | {
            "PATH": path,
            "PIP_NO_INDEX": "1",
            "PIP_NO_BUILD_ISOLATION": "0",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "COLUMNS": "200",
        }

    def __call__(self, command, cwd):
        """Run a command line in a shell, as a user types it; returns the completed process."""
        return run(["/bin/sh", "-c", command], cwd=cwd, env=self.env)
