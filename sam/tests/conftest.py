"""The template as it is written, and as CloudFormation gets it."""

import copy
import os

import pytest
from samtranslator.translator.transform import transform

import template
from machine import ASL

# SAM wants a region to transform for; no account is asked.
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")


class NoManagedPolicies:
    """Stands for the IAM call with which SAM looks up managed policies: this template uses none."""

    def load(self):
        return {}


@pytest.fixture(scope="session")
def sam():
    """The template as written."""
    return template.read()


@pytest.fixture(scope="session")
def transformed(sam):
    packaged = copy.deepcopy(sam)
    packaged["Globals"]["Function"]["CodeUri"] = {"Bucket": "code", "Key": "function.zip"}
    packaged["Resources"]["ImportLarge"]["Properties"]["DefinitionUri"] = {"Bucket": "code", "Key": ASL.name}
    return transform(packaged, {}, NoManagedPolicies())


@pytest.fixture
def plain(transformed):
    """The template as CloudFormation gets it; each test has its own copy."""
    return copy.deepcopy(transformed)
