"""Builds the package. Everything but this stands in pyproject.toml: the wheel carries the project's own files too.

`headgate local`, `tour` and `check` serve and read template.yaml, functions/ and examples/gastown. They lie once in the
repository; a wheel gets a copy as `headgate_cli/_project`, an editable install reads them where they are.
"""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
PROJECT = ("template.yaml", "manifest.yaml", "functions/**/*.py", "examples/gastown/*.*", "examples/gastown/**/*.py")


class WithProject(build_py):
    """build_py, and then the project's files."""

    def run(self) -> None:
        """Copy what the packages hold, then the project."""
        super().run()
        if self.editable_mode:
            return
        for pattern in PROJECT:
            for file in ROOT.glob(pattern):
                target = Path(self.build_lib, "headgate_cli/_project", file.relative_to(ROOT))
                self.mkpath(str(target.parent))
                self.copy_file(str(file), str(target))


setup(cmdclass={"build_py": WithProject})
