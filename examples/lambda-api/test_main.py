import json
import unittest

from main import handler


class Greetings(unittest.TestCase):
    def ask(self, **query: str) -> tuple[int, dict[str, str]]:
        made = handler({"queryStringParameters": query or None}, None)
        return made["statusCode"], json.loads(made["body"])

    def test_whoever_is_named_is_greeted(self) -> None:
        self.assertEqual(self.ask(name="Ada"), (200, {"greeting": "Hello, Ada!"}))

    def test_without_a_name_the_world_is_greeted(self) -> None:
        self.assertEqual(self.ask(), (200, {"greeting": "Hello, world!"}))

    def test_an_empty_name_is_refused(self) -> None:
        self.assertEqual(self.ask(name=" ")[0], 400)
