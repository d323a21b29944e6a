"""What a team sees in Prefect's UI, in a real browser.

`pytest tests/integration/browser --screenshots` makes the pictures of the docs anew.
"""

from browser import Browser
from shown_shop import ShownShop

from prefect_delivery.engine.state import Status


def test_a_push_is_delivered_by_the_hands_of_a_browser(
    shop: ShownShop, tab: Browser
) -> None:
    """The form of the deployment, the graph of the run, the answer to the approval."""
    deployment = shop.client.read_deployment_by_name("pipeline/shop")
    tab.open(f"deployments/deployment/{deployment.id}/run")
    tab.see("greeting (Optional)", "What the front page says.")
    tab.see("What source/git is pinned to; the newest by default.")
    assert "Hello" in [box.input_value() for box in tab.page.locator("textarea").all()]
    tab.picture("deployment-form")

    shop.push()
    waiting = shop.run("Suspended")

    tab.open(f"runs/flow-run/{waiting.id}")
    tab.see("shop #1", "Suspended", "5 Task runs", "pipeline:shop")
    tab.see("Test / words | Hello", "Production / approve | asks 1 of anybody")
    tab.see_graph()
    tab.picture("waiting-run")

    tab.page.get_by_role("button", name="Resume").click()
    form = tab.page.get_by_role("dialog")
    form.get_by_text("shop #1 waits for Production/approve.").wait_for()
    form.locator(".p-select-button__control").focus()
    tab.page.keyboard.press("ArrowDown")
    tab.page.get_by_text("approve", exact=True).last.click()
    form.locator("textarea").last.fill("The pears look good.")
    tab.picture("approval-form")
    form.get_by_role("button", name="Submit").click()
    form.wait_for(state="hidden")
    assert not tab.problems

    shop.run("Completed")
    tab.open(f"runs/flow-run/{waiting.id}")
    tab.see("Completed", "6 Task runs", "Production / deploy | prepare shop #1")
    tab.see_graph()
    tab.picture("finished-run")
    execution = shop.ledger.executions.find("shop")
    assert execution.status is Status.SUCCEEDED, execution.reason
    answered = execution.stages["Production"].actions["approve"][-1].summary
    assert answered == "approved by anonymous: The pears look good."
    assert shop.released == "Hello"
