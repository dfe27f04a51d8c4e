//! What container engines know of their containers, read from the files they keep.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::cgroup::{Unit, UnitKind};
use super::world::Container;
use crate::generations::Generations;

/// Containers remembered.
const CONTAINERS_MAX: usize = 4_096;
/// Larger files are no container descriptions.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Reads names of containers and remembers them, because an id is never given again.
#[derive(Debug)]
pub(crate) struct Containers {
    docker_root: PathBuf,
    known: Generations<[u8; 12], Option<Arc<Container>>>,
}

impl Containers {
    /// Looks below Docker's data directory, usually `/var/lib/docker`.
    pub(crate) fn new(docker_root: &Path) -> Self {
        Self { docker_root: docker_root.join("containers"), known: Generations::new(CONTAINERS_MAX) }
    }

    /// What is known of the container; `None` for other engines than Docker.
    pub(crate) fn find(&mut self, unit: &Unit) -> Option<Arc<Container>> {
        let id: [u8; 12] = unit.name.as_bytes().try_into().ok()?;
        if unit.kind != UnitKind::Docker {
            return None;
        }
        let (known, made) = self.known.get_or_insert_with(id, || None);
        // One that was not found may have been too young.
        if made || known.is_none() {
            *known = read_docker(&self.docker_root, &unit.name).map(Arc::new);
        }
        known.clone()
    }
}

fn read_docker(root: &Path, short_id: &str) -> Option<Container> {
    let entries = std::fs::read_dir(root).ok()?;
    let directory =
        entries.filter_map(Result::ok).find(|e| e.file_name().to_string_lossy().starts_with(short_id))?.path();
    let file = directory.join("config.v2.json");
    if file.metadata().ok()?.len() > FILE_BYTES_MAX {
        return None;
    }
    parse_docker(&std::fs::read_to_string(file).ok()?)
}

fn parse_docker(text: &str) -> Option<Container> {
    let config: serde_json::Value = serde_json::from_str(text).ok()?;
    let label = |name: &str| config["Config"]["Labels"][name].as_str().unwrap_or_default().to_owned();
    Some(Container {
        name: config["Name"].as_str().unwrap_or_default().trim_start_matches('/').to_owned(),
        project: label("com.docker.compose.project"),
        service: label("com.docker.compose.service"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docker_tells_name_and_compose_project() {
        let root = tempfile::tempdir().unwrap();
        let unit = Unit { kind: UnitKind::Docker, name: "4f1c2d3e5a6b".into() };
        let mut containers = Containers::new(root.path());
        assert_eq!(containers.find(&unit), None);
        let directory = root.path().join("containers/4f1c2d3e5a6b7c8d");
        std::fs::create_dir_all(&directory).unwrap();
        let labels = r#"{"com.docker.compose.project":"shop","com.docker.compose.service":"web"}"#;
        let text = format!(r#"{{"Name":"/shop-web-1","Config":{{"Labels":{labels}}}}}"#);
        std::fs::write(directory.join("config.v2.json"), text).unwrap();
        let found = containers.find(&unit).unwrap();
        assert_eq!(
            (found.name.as_str(), found.project.as_str(), found.service.as_str()),
            ("shop-web-1", "shop", "web")
        );
        assert_eq!(containers.find(&Unit { kind: UnitKind::Podman, ..unit }), None);
        assert_eq!(parse_docker("no json"), None);
    }
}
