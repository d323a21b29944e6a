"""CodePipeline's transitions, rule by rule; see test_codepipeline_modes.py."""

from play import Play, shop

from prefect_delivery.engine.gate import Enter, Hold, Superseded
from prefect_delivery.engine.state import Status
from prefect_delivery.engine.steps import StartAction

CLOSED = Hold(reason="was disabled by ann: holiday", for_people=True)


def close(play: Play, stage: str = "Deploy", reason: str = "holiday") -> None:
    play.ledger.transitions.disable("shop", stage, by="ann", reason=reason)


def open_again(play: Play) -> None:
    play.ledger.transitions.enable("shop", "Deploy", by="bob")


def test_nothing_enters(play: Play) -> None:
    """While the transition into a stage is disabled, nothing enters it."""
    close(play)

    assert play.enter(play.start(shop())) == CLOSED


def test_superseding_goes_on(play: Play) -> None:
    """Superseding goes on before a disabled transition: one execution waits there."""
    close(play)
    older, newer = play.start(shop()), play.start(shop())
    play.enter(older)
    play.enter(newer)

    assert play.enter(older) == Superseded(by=2)
    assert play.enter(newer) == CLOSED


def test_queueing_goes_on(play: Play) -> None:
    """In mode queued all wait before a disabled transition, and the first enters first."""
    close(play)
    first, second = play.start(shop("queued")), play.start(shop("queued"))
    assert play.enter(first) == play.enter(second) == CLOSED

    open_again(play)

    assert play.enter(second) == Hold(reason="#1 is before it")
    assert play.enter(first) == Enter()


def test_the_latest_enters(play: Play) -> None:
    """When the transition is enabled, the latest execution that waits enters."""
    close(play)
    waiting = [play.start(shop()) for _ in range(3)]
    for each in waiting:
        play.enter(each)

    open_again(play)

    said = [play.enter(each) for each in waiting]
    assert said == [Superseded(by=3), Superseded(by=3), Enter()]


def test_what_is_past_it_goes_on(play: Play) -> None:
    """An execution that is past the transition already goes on."""
    attempt = play.start(shop())
    play.enter(attempt)
    close(play)

    assert play.enter(attempt) == Enter()
    assert StartAction("Deploy", "run", 1) in play.steps(attempt)


def test_thirty_days(play: Play) -> None:
    """After more than 30 days, enabling a transition does not let in what waits.

    It does, however long it took: nothing that waits is forgotten silently. In mode
    superseded something newer has taken its place, if there was anything newer.
    """
    close(play)
    attempt = play.start(shop())
    play.enter(attempt)
    play.wait(days=31)
    open_again(play)

    assert play.enter(attempt) == Enter()


def test_who_when_and_why(play: Play) -> None:
    """The state of a transition says who changed it last, when, and why it is disabled."""
    close(play)

    [found] = play.ledger.transitions.list("shop")
    assert (found.by, found.reason, found.disabled) == ("ann", "holiday", play.clock[0])

    open_again(play)
    assert play.ledger.transitions.list("shop") == []
    [entry] = play.ledger.audit.entries(limit=1)
    assert (entry.actor, entry.verb) == ("bob", "enable transition")


def test_any_reason(play: Play) -> None:
    """A reason has 1 to 300 characters, of letters, digits and !@ ().*?- only.

    Any text is a reason, and is kept whole: people write in their own language.
    """
    reason = "Größe geändert: «bitte warten» / #17" * 20
    close(play, reason=reason)

    assert play.ledger.transitions.list("shop")[0].reason == reason


def test_there_is_one_way(play: Play) -> None:
    """A transition is disabled inbound or outbound of a stage.

    There is only the way into a stage. In a graph of stages the way out of one is the
    way into several, and each of them can be disabled.
    """
    close(play)
    attempt = play.start(shop())
    play.enter(attempt, "Build")
    play.act(attempt, stage="Build")
    play.leave(attempt, stage="Build", end=False)

    assert play.enter(attempt) == CLOSED
    assert play.stage(attempt, "Build").status is Status.SUCCEEDED


def test_before_the_source(play: Play) -> None:
    """With the way into the source stage disabled, a pipeline does not run beyond its triggers."""
    close(play, "Build")

    assert play.enter(play.start(shop()), "Build") == CLOSED
