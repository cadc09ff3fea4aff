"""The configuration: environment variables, each of which a file can hold instead."""

from worker.settings.load import Settings, SettingsError, load
from worker.settings.model import FIELDS, GROUPS, Kafka, Optico, Worker
from worker.settings.secret import ApiKey

__all__ = ["FIELDS", "GROUPS", "ApiKey", "Kafka", "Optico", "Settings", "SettingsError", "Worker", "load"]
