//! MySQL and Redis, where they are processes of ours or somebody else's.

use std::time::Instant;

use record::event::names::Provider;

use super::{ComponentReport, Up, UpEvent, probe::Probe, runners::Runners};
use crate::{choice::Server, clients, error::InfraError, ready, stack::Component};

impl Up<'_> {
    pub(super) async fn mysql(&self, runners: &Runners) -> Result<Vec<ComponentReport>, InfraError> {
        if let Some(endpoint) = &runners.external.mysql {
            let begun = Instant::now();
            let facts = ready::mysql(endpoint, self.request.ready_within.min(clients::LIMIT)).await?;
            return Ok(vec![self.found("mysql", facts.version, endpoint.to_string(), begun)]);
        }
        let Some(native) = runners.native_for(Server::Mysql) else { return Ok(Vec::new()) };
        let (server, endpoint) = (native.mysql()?, native.mysql_endpoint());
        let probe = Probe::Mysql { endpoint, data: server.data.clone() };
        self.ensure(&[server], &probe).await
    }

    pub(super) async fn redis(&self, runners: &Runners) -> Result<Vec<ComponentReport>, InfraError> {
        if let Some(endpoint) = &runners.external.redis {
            let begun = Instant::now();
            let facts = ready::redis(endpoint, self.request.ready_within.min(clients::LIMIT)).await?;
            return Ok(vec![self.found("redis", facts.version, endpoint.to_string(), begun)]);
        }
        let Some(native) = runners.native_for(Server::Redis) else { return Ok(Vec::new()) };
        self.ensure(&[native.redis()?], &Probe::Redis(native.redis_endpoint())).await
    }

    /// Writes down an external component.
    pub(super) fn found(&self, name: &str, version: String, address: String, begun: Instant) -> ComponentReport {
        let component = Component {
            provider: Provider::External,
            version: version.clone(),
            address: address.clone(),
            process: None,
            log: None,
            container: None,
            restarts: 0,
        };
        self.stack().components.insert(name.to_owned(), component);
        let report = ComponentReport {
            name: name.to_owned(),
            provider: Provider::External,
            version,
            address,
            took_ms: begun.elapsed().as_millis() as u64,
            reused: true,
        };
        (self.progress)(UpEvent::Ready(report.clone()));
        report
    }
}
