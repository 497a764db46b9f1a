//! placeholder
pub struct Factory;
pub struct ImageTarget;
pub struct ImageUrls;
pub struct Platform;
pub struct Schematic;
pub struct SchematicError;
