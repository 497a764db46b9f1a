//! x
use std::path::Path;
#[derive(Default)] pub(crate) struct Options { pub(crate) pace: f64 }
pub(crate) struct RunningLab;
impl RunningLab {
 pub(crate) async fn start(_d:&Path,_o:Options)->std::io::Result<RunningLab>{Ok(RunningLab)}
 pub(crate) fn reset(_d:&Path)->std::io::Result<()> {Ok(())}
 pub(crate) async fn inventory(&self)->serde_json::Value{serde_json::Value::Null}
 pub(crate) async fn shutdown(self){}
 pub(crate) fn environment(&self)->Vec<(String,String)>{vec![]}
 pub(crate) fn set_fault(&self,_n:&str,_v:&str)->Result<(),String>{Ok(())}
 pub(crate) fn faults(&self)->serde_json::Value{serde_json::Value::Null}
}
