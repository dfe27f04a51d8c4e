//! What was dropped, why and where.
