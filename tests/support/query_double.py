"""Doubles of AWS services that speak the query protocol, such as CloudFormation."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from aws import Answering, Handler, Refusal, served
from botocore.validate import ParamValidator  # type: ignore[import-untyped]  # no py.typed
from moto.core.parse import QueryParser
from moto.core.serialize import QuerySerializer
from moto.core.utils import get_service_model

_ERROR = (
    "<ErrorResponse><Error><Type>Sender</Type><Code>{}</Code>"
    "<Message>{}</Message></Error><RequestId>r</RequestId></ErrorResponse>"
)


@contextmanager
def query_service(name: str, operations: dict[str, Answering]) -> Iterator[str]:
    """A double of a service with these operations.

    Requests must be as the service's model has them; moto reads and writes the XML.
    """
    model = get_service_model(name)
    validator = ParamValidator()

    class Double(Handler):
        def do_POST(self) -> None:
            values = dict(parse_qsl(self.body().decode(), keep_blank_values=True))
            operation = values.pop("Action")
            shape = model.operation_model(operation)
            try:
                asked = dict(QueryParser(shape).parse({"values": values}))  # type: ignore[typeddict-item]  # it reads nothing else
                # Some operations take nothing.
                if shape.input_shape:
                    problems = validator.validate(asked, shape.input_shape)
                    if problems.has_errors():
                        raise Refusal("ValidationError", problems.generate_report())
                answer = operations[operation](asked)
            except Refusal as refusal:
                said = _ERROR.format(refusal.code, escape(str(refusal)))
                self.answer(400, said.encode())
            else:
                made = QuerySerializer(shape).serialize(answer)
                body = made["body"]
                self.answer(200, body if isinstance(body, bytes) else body.encode())

    with served(Double) as address:
        yield address
