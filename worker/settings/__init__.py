"""The configuration: environment variables, each of which a file can hold instead."""

from worker.settings.load import FIELDS, GROUPS, Settings, SettingsError, load
from worker.settings.model import Kafka, Optico, Worker
from worker.settings.secret import ApiKey

__all__ = ["FIELDS", "GROUPS", "ApiKey", "Kafka", "Optico", "Settings", "SettingsError", "Worker", "load"]
