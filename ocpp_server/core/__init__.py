"""The rules of energy, quota and transactions: values in, values out; no clock, file, socket or await."""
