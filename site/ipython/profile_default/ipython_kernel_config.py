"""How kernels start that run the cells of the pages; Quarto finds it through IPYTHONDIR in `_environment`.

A kernel warns that it talks to Quarto in plain text over this machine's own network interface (ipykernel 7.3 and
later), and a warning ends a render that counts warnings as errors. Errors are still printed.
"""

import logging

c = get_config()  # noqa: F821  given by IPython
c.IPKernelApp.log_level = logging.ERROR
c.HistoryManager.enabled = False  # it would be kept beside this file
