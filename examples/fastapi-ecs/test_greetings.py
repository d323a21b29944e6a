import unittest

from greetings import greeting


class Greetings(unittest.TestCase):
    def test_whoever_is_named_is_greeted(self) -> None:
        self.assertEqual(greeting(" Ada "), "Hello, Ada!")

    def test_nobody_is_the_world(self) -> None:
        self.assertEqual(greeting(" "), "Hello, world!")
