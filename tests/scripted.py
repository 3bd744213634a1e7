"""The scripted agents under the name that the tests know; they live in the kit, `actors.testing`."""

from actors.testing.scripted import *
