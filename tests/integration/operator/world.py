"""What every test here finds."""
from lib.plane import Plane


class World(Plane):
    def stop(self, failures=0, keep=False):
        super().stop(keep)
