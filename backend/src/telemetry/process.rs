//! What the process itself uses, under the names that every Prometheus client gives it, read when somebody asks.

use std::{
    fmt, fs,
    time::{SystemTime, UNIX_EPOCH},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
};

/// Clock ticks of a second in `/proc`: the same on every Linux, whatever the kernel's own clock is.
const TICKS_PER_S: f64 = 100.0;

/// Figures of this process.
#[derive(Debug)]
pub(super) struct ProcessFigures {
    /// Seconds since 1970.
    started: f64,
}

impl ProcessFigures {
    /// Of a process that starts now.
    pub fn new() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started: since.as_secs_f64() }
    }
}

impl Collector for ProcessFigures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        // The folder that is being read is open itself.
        let open = fs::read_dir("/proc/self/fd").ok().map(|folder| folder.count().saturating_sub(1) as f64);
        if let Some(seconds) = cpu_seconds(&stat) {
            let counter = ConstCounter::new(seconds);
            let help = "CPU time of user and system";
            counter.encode(encoder.encode_descriptor("process_cpu_seconds", help, None, counter.metric_type())?)?;
        }
        let kib = |name: &str| field(&status, name).map(|kib| kib * 1_024.0);
        for (name, help, value) in [
            ("process_resident_memory_bytes", "Memory that is resident", kib("VmRSS:")),
            ("process_virtual_memory_bytes", "Memory that is mapped", kib("VmSize:")),
            ("process_threads", "Threads", field(&status, "Threads:")),
            ("process_open_fds", "File descriptors that are open", open),
            ("process_max_fds", "File descriptors that there may be", field(&limits, "Max open files")),
            ("process_start_time_seconds", "When the process started, since 1970", Some(self.started)),
        ] {
            // What cannot be read is not 0.
            let Some(value) = value else { continue };
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}

/// User and system time out of `/proc/self/stat`. The name of the program, in brackets, may hold anything.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(") ")?.1.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS_PER_S)
}

/// The first number behind `name` at the beginning of a line.
fn field(text: &str, name: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_as_the_kernel_writes_them() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 4 0 12345 1 2 3";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!((cpu_seconds(""), cpu_seconds("7 (a) S 1")), (None, None));
        let limits = "Max open files            1024                 524288               files\n";
        assert_eq!(field(limits, "Max open files"), Some(1_024.0));
        assert_eq!(field("Max open files            unlimited\n", "Max open files"), None);
        assert_eq!(field("VmRSS:\t   12 kB\n", "VmRSS:"), Some(12.0));
    }
}
