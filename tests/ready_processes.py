"""Processes of tests that begin with all imported that a fit needs: each would take seconds to import it itself.

They are forked from the one server that a process of pytest can have, and whoever starts it decides what it has
imported. So `conftest.py` starts it before the first test: one that prepares data would start it with less. It does
not see pytest's paths, so it can import the package, but no file of the tests.
"""

import multiprocessing

READY = multiprocessing.get_context("forkserver")
READY.set_forkserver_preload(["adapt.jobs.fit", "adapt.processes.sharding"])
