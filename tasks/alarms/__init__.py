"""Where alarms come from: one module a source, asked by `rule/alarm`."""
