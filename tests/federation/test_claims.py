"""Trust rules: which are refused, and which tokens fit."""

from __future__ import annotations

import pytest
from tests.federation.ci import GITHUB, GITLAB

from roadstead.errors import RequestInvalid
from roadstead.identity.federation.claims import check_rule, fits


@pytest.mark.parametrize(
    "rule",
    [
        {"sub": "repo:acme/app:ref:refs/heads/main"},
        {"sub": "repo:acme/app:ref:refs/heads/*"},
        {"sub": "repo:acme/*"},
        {"sub": "system:serviceaccount:build:pusher"},
        {"repository": "acme/app"},
        {"repository": "acme/*", "ref": "refs/heads/main"},
        {"repository_owner": "acme"},
        {"repository_id": "123456"},
        {"project_path": "acme/**", "ref_protected": "true"},
        {"project_id": "42", "user_login": "*"},
    ],
)
def test_a_rule_that_says_whose_it_is_is_accepted(rule: dict[str, str]) -> None:
    check_rule(rule)


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"sub": ""},
        {"sub": "*"},
        {"sub": "**"},
        {"sub": "repo:*"},
        {"sub": "repo:*/*"},
        {"sub": "repo:ac*/app"},
        {"sub": "repo:/*"},
        {"sub": "/**"},
        {"sub": "*:acme/app"},
        {"sub": "{repo:acme/app,*}"},
        {"sub": "[a-z]*"},
        {"repository": "**"},
        {"repository": "*/app"},
        {"repository": "?cme/app"},
        {"repository_owner": "acm*"},
        {"repository_id": "1*"},
        {"project_path": "**/app"},
        # What anybody's token may say.
        {"ref": "refs/heads/main"},
        {"environment": "production"},
        {"actor": "anna"},
        {"job_workflow_ref": "acme/app/.github/workflows/build.yml@refs/heads/main"},
        {"user_login": "anna", "ref": "main"},
        # Checked for every token.
        {"iss": "https://ci.example", "repository": "acme/app"},
        {"aud": "x", "repository": "acme/app"},
        {"exp": "1", "repository": "acme/app"},
        {"jti": "1", "repository": "acme/app"},
        {"re pository": "acme/app"},
        {"repository": "acme/[app"},
        {"repository": "acme/" + "x" * 2000},
        {f"claim{n}": "x" for n in range(21)},
    ],
)
def test_a_rule_that_would_fit_a_stranger_or_is_no_rule_is_refused(rule: dict[str, str]) -> None:
    with pytest.raises(RequestInvalid):
        check_rule(rule)


@pytest.mark.parametrize(
    ("rule", "claims"),
    [
        ({"repository": "acme/app"}, GITHUB),
        ({"repository": "acme/*", "ref": "refs/heads/*"}, GITHUB),
        ({"sub": "repo:acme/app:ref:refs/heads/*"}, GITHUB),
        ({"project_path": "acme/**"}, GITLAB),
        ({"project_id": "42"}, {"project_id": 42}),
        ({"repository": "acme/app", "fork": "false"}, {**GITHUB, "fork": False}),
        ({"sub": "x", "groups": "acme/team"}, {"sub": "x", "groups": ["other", "acme/team"]}),
    ],
)
def test_a_token_fits_by_every_claim_of_the_rule(rule: dict[str, object], claims: dict[str, object]) -> None:
    assert fits(rule, claims)


@pytest.mark.parametrize(
    ("rule", "claims"),
    [
        ({}, GITHUB),
        ({"repository": "acme/ap"}, GITHUB),
        ({"repository": "acme/app", "ref": "refs/heads/next"}, GITHUB),
        ({"repository": "acme/app", "environment": "*"}, GITHUB),
        ({"sub": "repo:acme/*"}, GITHUB),
        ({"repository": "acme/*"}, {"repository": "acme/app/"}),
        ({"repository": "acme/*"}, {"repository": ""}),
        ({"repository": "acme/app"}, {"repository": {"acme/app": 1}}),
        ({"repository": "acme/app"}, {"repository": None}),
        ({"repository": 7}, {"repository": 7}),
        ({"repository": "acme/app"}, {"Repository": "acme/app"}),
    ],
)
def test_a_token_that_lacks_one_claim_does_not_fit(
    rule: dict[str, object], claims: dict[str, object]
) -> None:
    assert not fits(rule, claims)
