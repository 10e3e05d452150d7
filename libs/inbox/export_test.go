package inbox

import "time"

// ReplayEvery sets how often the consumer looks for parked events to replay.
func (c *Consumer) ReplayEvery(every time.Duration) { c.replayEvery = every }
