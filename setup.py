"""Build step: copy the project's own files into the wheel. All metadata is in pyproject.toml.

`headgate local`, `tour`, and `check` use template.yaml, functions/, and examples/gastown. A wheel contains a copy of
them as `headgate_cli/_project`; an editable install reads them from the repository.
"""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
PROJECT = ("template.yaml", "manifest.yaml", "functions/**/*.py", "examples/gastown/*.*", "examples/gastown/**/*.py")


class WithProject(build_py):
    """build_py that also copies the project's files."""

    def run(self) -> None:
        """Copy the packages, then the project's files."""
        super().run()
        if self.editable_mode:
            return
        for pattern in PROJECT:
            for file in ROOT.glob(pattern):
                target = Path(self.build_lib, "headgate_cli/_project", file.relative_to(ROOT))
                self.mkpath(str(target.parent))
                self.copy_file(str(file), str(target))


setup(cmdclass={"build_py": WithProject})
