//! Goals: thresholds in k6's grammar over any metric.
