"""How a lesson's kernel starts in JupyterLab: `make lab` and Binder copy this file into place.

JupyterLab alone sets JPY_SESSION_NAME, so that nothing changes where the tests run a lesson.
"""

import os

c = get_config()  # noqa: F821
if "JPY_SESSION_NAME" in os.environ:
    c.InlineBackend.figure_formats = {"retina"}  # sharp on fine screens
    c.InteractiveShellApp.exec_lines = [
        # Their log is no error: on standard output it is not shown on pink.
        "import logging, sys",
        "logging.getLogger('pymc').addHandler(logging.StreamHandler(sys.stdout))",
        "logging.getLogger('bambi').addHandler(logging.StreamHandler(sys.stdout))",
        "del logging, sys",
        # JupyterLab would write Python's version into a lesson, and mark it as changed.
        "get_ipython().kernel.language_info.pop('version', None)",
    ]
