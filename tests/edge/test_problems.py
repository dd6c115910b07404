"""Problem details: what leaves in them can always be sent."""

from headgate.core.documents import Invalid
from headgate.edge.problems import PROBLEMS, problem


def test_a_name_that_no_utf_8_can_write_leaves_as_a_question_mark() -> None:
    """Lambda's runtime encodes the answer; a failure there would be a 500."""
    fault = Invalid([("allow.\ud800", "unknown member")])
    response = problem("invalid-body", "errors lists each fault", faults=fault.faults)
    assert b'"path":"allow.?"' in response["body"].encode()


def test_every_problem_has_a_title_and_an_error_status() -> None:
    for slug, (status, title) in PROBLEMS.items():
        response = problem(slug)
        assert response["statusCode"] == status
        assert 400 <= status <= 503
        assert title
        assert ("retry-after" in response["headers"]) == (status == 503)
