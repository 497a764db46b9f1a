//! `hashicorp/external` 2.x: what a program says.

use std::collections::BTreeMap;
use std::process::Stdio;

use stead_sdk::value::Sensitive;
use stead_sdk::{
    Context, DataSource, Dialer, Error, ErrorKind, Native, ProviderFactory, async_trait,
};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// The answer of a program that takes a JSON object on its standard input and prints another.
#[derive(Clone, Debug, DataSource)]
#[data_source(name = "external")]
struct External {
    /// The program and its arguments.
    #[attr(required)]
    program: Vec<Option<String>>,
    /// Where it runs; the current folder unless set.
    #[attr(optional)]
    working_dir: Option<String>,
    /// What it is asked.
    #[attr(optional)]
    query: Option<BTreeMap<String, Option<String>>>,
    /// What it answers.
    #[attr(computed)]
    result: Option<BTreeMap<String, String>>,
    /// Always `-`.
    #[attr(computed)]
    id: Option<String>,
}

fn failed(summary: &str, detail: String) -> Error {
    Error::new(summary.to_owned(), detail).attribute("program")
}

#[async_trait]
impl DataSource for External {
    type Client = ();

    async fn read(_client: &(), config: Self, cx: &Context) -> Result<Self, Error> {
        let argv: Vec<&str> = config
            .program
            .iter()
            .flatten()
            .map(String::as_str)
            .collect();
        let Some((program, arguments)) = argv.split_first().filter(|(p, _)| !p.is_empty()) else {
            return Err(failed(
                "run the external program",
                "`program` must hold at least the program's name".into(),
            ));
        };
        let asked = format!("run the external program {program:?}");
        let query: BTreeMap<&String, &String> = config
            .query
            .iter()
            .flatten()
            .filter_map(|(k, v)| Some((k, v.as_ref()?)))
            .collect();
        let query =
            Sensitive::new(serde_json::to_vec(&query).map_err(|e| failed(&asked, e.to_string()))?);
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if let Some(dir) = config.working_dir.as_deref().filter(|d| !d.is_empty()) {
            command.current_dir(dir);
        }
        let mut child = command.spawn().map_err(|e| failed(&asked, e.to_string()))?;
        let stdin = child.stdin.take();
        let feeding = async {
            if let Some(mut stdin) = stdin {
                // A program that does not listen is no error: it answers or not.
                let _ = stdin.write_all(query.expose_secret()).await;
            }
        };
        let running = async { tokio::join!(feeding, child.wait_with_output()).1 };
        let output = tokio::select! {
            output = running => output.map_err(|e| failed(&asked, e.to_string()))?,
            () = cx.cancelled().cancelled() => {
                return Err(Error::of_kind(ErrorKind::Cancelled, asked, "interrupted"));
            }
        };
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            let said = if said.trim().is_empty() {
                "it said nothing on its standard error".to_owned()
            } else {
                format!("it said: {}", said.trim())
            };
            return Err(failed(&asked, format!("{}; {said}", output.status)));
        }
        let result: BTreeMap<String, String> =
            serde_json::from_slice(&output.stdout).map_err(|e| {
                failed(
                    &asked,
                    format!("its answer is not a JSON object whose values are strings: {e}"),
                )
            })?;
        Ok(External {
            result: Some(result),
            id: Some("-".into()),
            ..config
        })
    }
}

pub fn factory(dialer: &Dialer) -> impl ProviderFactory + use<> {
    Native::local("external")
        .data_source::<External>()
        .build(dialer)
}
