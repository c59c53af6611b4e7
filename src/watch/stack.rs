//! The processes of the stack, from `/proc`.

use std::{collections::BTreeMap, time::Instant};

use super::{Source, Stacked};
use crate::{
    event::{
        Event,
        watch::{ComponentSample, StackSample},
    },
    infra::{
        process::{self, ProcessRef, Stat},
        stack::{Component, Stack},
    },
};

/// The watcher.
pub(super) struct Processes {
    stack: Stacked,
    sampler: Sampler,
}

impl Processes {
    pub fn new(stack: Stacked) -> Self {
        Self { stack, sampler: Sampler::default() }
    }
}

impl Source for Processes {
    const NAME: &'static str = "stack";

    async fn look(&mut self) -> Result<Event, String> {
        let stack = (self.stack)().ok_or("nothing is up: `ecomctl up` brings a stack up")?;
        Ok(Event::Stack(StackSample { components: self.sampler.sample(&stack) }))
    }
}

/// Looks at processes; CPU use is that since the look before.
#[derive(Debug, Default)]
struct Sampler {
    before: BTreeMap<i32, (Instant, Stat)>,
}

impl Sampler {
    fn sample(&mut self, stack: &Stack) -> Vec<ComponentSample> {
        let before = std::mem::take(&mut self.before);
        let components = stack.components.iter();
        components.map(|(name, component)| self.component(name, component, &before)).collect()
    }

    fn component(
        &mut self,
        name: &str,
        component: &Component,
        before: &BTreeMap<i32, (Instant, Stat)>,
    ) -> ComponentSample {
        let mut sample = ComponentSample {
            name: name.to_owned(),
            provider: component.provider.clone(),
            restarts: component.restarts,
            ports: vec![component.address.clone()],
            ..ComponentSample::default()
        };
        let Some(process) = component.process else {
            sample.state = "external".into();
            return sample;
        };
        let Some(stat) = living(process) else {
            (sample.state, sample.health) = ("exited".into(), "exited".into());
            return sample;
        };
        (sample.state, sample.health) = ("running".into(), "healthy".into());
        let now = Instant::now();
        let then = before.get(&process.pid).filter(|(_, then)| then.start_time == stat.start_time);
        sample.cpu = then.and_then(|(at, then)| {
            let seconds = now.duration_since(*at).as_secs_f64();
            let ticks = stat.cpu_ticks.saturating_sub(then.cpu_ticks) as f64;
            (seconds > 0.0).then(|| ticks / number(nix::unistd::SysconfVar::CLK_TCK, 100) / seconds * 100.0)
        });
        sample.mem = Some(stat.resident_pages * number(nix::unistd::SysconfVar::PAGE_SIZE, 4096) as u64);
        sample.open_files = std::fs::read_dir(format!("/proc/{}/fd", process.pid)).ok().map(|all| all.count() as u64);
        self.before.insert(process.pid, (now, stat));
        sample
    }
}

fn living(process: ProcessRef) -> Option<Stat> {
    Stat::read(process.pid).filter(|_| process::is_alive(process))
}

fn number(variable: nix::unistd::SysconfVar, default: i64) -> f64 {
    nix::unistd::sysconf(variable).ok().flatten().unwrap_or(default) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(process: Option<ProcessRef>) -> Component {
        Component {
            provider: "native".into(),
            version: String::new(),
            address: "127.0.0.1:1".into(),
            process,
            log: None,
            restarts: 2,
            container: None,
        }
    }

    #[test]
    fn a_process_is_measured_between_two_looks_and_a_dead_one_is_shown() {
        let me = process::this().unwrap();
        let mut sampler = Sampler::default();
        let look = |sampler: &mut Sampler, component: &Component| {
            let before = std::mem::take(&mut sampler.before);
            sampler.component("api-1", component, &before)
        };
        let living = component(Some(me));
        let first = look(&mut sampler, &living);
        assert_eq!((first.state.as_str(), first.cpu, first.restarts), ("running", None, 2));
        let since = Instant::now();
        while since.elapsed().as_millis() < 150 {}
        let second = look(&mut sampler, &living);
        assert!(second.cpu.unwrap() > 10.0 && second.mem.unwrap() > 1 << 20 && second.open_files.unwrap() > 2);
        let gone = look(&mut sampler, &component(Some(ProcessRef { pid: me.pid, start_time: 1 })));
        assert_eq!((gone.state.as_str(), gone.mem), ("exited", None));
        assert_eq!(look(&mut sampler, &component(None)).state, "external");
    }
}
