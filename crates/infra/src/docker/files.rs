//! Configs, secrets and other files of a container, handed to the Engine as an archive: they stand in no argument, no
//! variable and no label, and the Engine may be on another machine.

use std::io;

use compose::model::{Content, Grant, Project, Service};

use super::request::ExtraFile;

/// Everything that has to be put into a container of `service` before it is started.
pub(super) fn of(project: &Project, service: &Service, extra: &[ExtraFile]) -> Vec<ExtraFile> {
    let put = |grant: &Grant, content: Option<&Content>| {
        content.map(|content| ExtraFile {
            path: grant.target.clone(),
            bytes: content.bytes.clone(),
            mode: grant.mode,
            uid: grant.uid,
            gid: grant.gid,
        })
    };
    let configs = service.configs.iter().filter_map(|grant| put(grant, project.configs.get(&grant.source)));
    let secrets = service.secrets.iter().filter_map(|grant| put(grant, project.secrets.get(&grant.source)));
    // The caller's own files win over those of the project: the project's are defaults.
    let mut all: Vec<ExtraFile> = configs.chain(secrets).filter(|f| !extra.iter().any(|e| e.path == f.path)).collect();
    all.extend_from_slice(extra);
    all
}

/// The archive, to be unpacked at `/`.
///
/// # Errors
/// Where a path is too long for the format.
pub(super) fn archive(files: &[ExtraFile]) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for file in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(file.bytes.len() as u64);
        header.set_mode(file.mode);
        header.set_uid(file.uid.into());
        header.set_gid(file.gid.into());
        header.set_entry_type(tar::EntryType::Regular);
        archive.append_data(&mut header, file.path.trim_start_matches('/'), file.bytes.as_slice())?;
    }
    archive.into_inner()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn the_archive_holds_path_mode_owner_and_bytes() {
        let file = ExtraFile { path: "/run/secrets/p".into(), bytes: b"x".to_vec(), mode: 0o400, uid: 7, gid: 8 };
        let bytes = archive(&[file]).unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let mut entry = archive.entries().unwrap().next().unwrap().unwrap();
        let header = entry.header().clone();
        assert_eq!(entry.path().unwrap().to_str(), Some("run/secrets/p"));
        assert_eq!((header.mode().unwrap(), header.uid().unwrap(), header.gid().unwrap()), (0o400, 7, 8));
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        assert_eq!(text, "x");
    }
}
