//! What to write instead of keys of the specification that are not supported.

/// What to do, for a key by its path; none where there is nothing better to say than what is supported.
pub(super) fn instead(path: &str) -> Option<&'static str> {
    let mut parts = path.split('.');
    let (first, _, key) = (parts.next()?, parts.next(), parts.next());
    Some(match (first, key) {
        ("include", None) => "put its services into this file",
        ("version", None) => "it says nothing any more: leave it out",
        ("services", Some(key)) => of_service(key, parts.next())?,
        _ => return None,
    })
}

fn of_service(key: &str, below: Option<&str>) -> Option<&'static str> {
    Some(match (key, below) {
        ("build", None) => "build the image yourself (`docker build -t NAME …`) and write `image: NAME`",
        ("extends", None) => "write the keys of that service out here",
        ("cpus" | "cpu_quota" | "cpu_period", None) => "write it as deploy.resources.limits.cpus",
        ("mem_limit" | "memswap_limit", None) => {
            "write it as deploy.resources.limits.memory; swap is never added to it"
        }
        ("mem_reservation", None) => "write it as deploy.resources.reservations.memory",
        ("pids_limit", None) => "write it as deploy.resources.limits.pids",
        ("network_mode" | "links" | "external_links", None) => {
            "services of one network find each other by their names: write `networks`, or leave it out"
        }
        ("logging", None) => "each container keeps 60 MB of its log, which `ecomctl logs` shows: leave it out",
        ("pull_policy" | "pull_refresh_after", None) => {
            "images that are not here are fetched with --pull, and never otherwise: leave it out"
        }
        ("label_file", None) => "write `labels`",
        ("volumes_from", None) => "name the same volume in both services",
        ("stdin_open" | "tty" | "attach", None) => "nobody sits in front of it: leave it out",
        ("deploy", Some("restart_policy")) => "write `restart`",
        ("deploy", Some("mode" | "placement" | "update_config" | "rollback_config" | "endpoint_mode")) => {
            "it is for a swarm: leave it out"
        }
        ("deploy", Some("labels")) => "write `labels` of the service",
        _ => return None,
    })
}
