"""The kernel a report runs its notebooks in: always the interpreter that runs the report itself."""

from __future__ import annotations

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from traitlets import default


class SameInterpreter(AsyncKernelManager):
    """Starts ipykernel in `sys.executable`.

    The name "python3" alone may lead to another environment's kernel, installed for the user or the
    machine; with no folder to search, jupyter_client falls back to its own interpreter.
    """

    @default("kernel_spec_manager")
    def _only_the_native_kernel(self) -> KernelSpecManager:
        return KernelSpecManager(parent=self, kernel_dirs=[])

    @default("transport_encryption")
    def _encrypted_where_possible(self) -> str:
        return "auto"  # without it each kernel prints a warning about plain TCP into its notebook
