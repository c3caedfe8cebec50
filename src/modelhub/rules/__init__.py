"""Pure decisions: functions of values. No I/O, no clock and no chance but those that are passed in."""
