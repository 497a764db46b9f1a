//! Writing a journal: one thread writes and syncs what has gathered, so that many operations share one sync.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use stead_value::addr::ResourceInstance;
use tokio::sync::watch;

use super::Mirror;
use super::record::{Header, Intent, Lines, Record, Run};
use crate::disk::{self, Disk, DiskFile};
use crate::encryption::Encryption;
use crate::place::LockWatch;
use crate::place::lock::lock_file;
use crate::{Error, InstanceObjects, Object, ProviderConfigRef, Result, Store, v4};

/// At least this long lies between two syncs that nobody waits for, so that what comes in the meantime goes into one. What comes while the disk syncs does
/// in any case.
pub(crate) const GROUP: Duration = Duration::from_millis(5);

/// So many times as long lies between two uploads of a journal's copy as between two syncs.
const UPLOAD: u32 = 200;

/// So many times as long as between two syncs may a record wait that can.
const PATIENCE: u32 = 200;

/// An operation's number in its journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Operation(u64);

/// A journal that is being written. Dropping it leaves the file for the next command to settle.
#[derive(Debug)]
pub struct Journal {
    handle: JournalHandle,
    thread: Option<JoinHandle<()>>,
    run: Run,
    mirror: Option<Arc<Mirror>>,
}

/// Writes to a journal from anywhere.
#[derive(Clone, Debug)]
pub struct JournalHandle(Arc<Shared>);

struct Shared {
    path: PathBuf,
    lines: Lines,
    queue: Mutex<Queue>,
    /// There is something to write.
    wake: Condvar,
    /// How far it is safe, for those who wait for it without a thread of their own, and for those who have one.
    safe: watch::Sender<Safe>,
    synced: Condvar,
    /// The state's lock, where it can be lost: then nothing new may be done.
    lock_watch: Option<LockWatch>,
}

/// What it holds is nobody's to read but the journal's.
impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

struct Queue {
    /// What has not been written yet: the thread that writes makes lines of it, so that operations need not wait for that.
    pending: Vec<Entry>,
    /// What may wait for the next of these, or for the whole state, which makes it superfluous.
    deferred: Vec<Entry>,
    /// How many records were queued in all; the deferred ones do not count yet.
    records: u64,
    operations: u64,
    /// Somebody waits: do not gather.
    hurry: bool,
    closing: bool,
}

/// A record as it is queued: what became of an instance is only encoded when its line is made.
enum Entry {
    Record(Record),
    Changed {
        operation: Option<Operation>,
        address: ResourceInstance,
        objects: Option<(ProviderConfigRef, InstanceObjects)>,
    },
}

impl Entry {
    fn into_record(self) -> Record {
        match self {
            Entry::Record(record) => record,
            Entry::Changed {
                operation,
                address,
                objects,
            } => Record::Changed {
                operation: operation.map(|o| o.0),
                entry: objects
                    .map(|(provider, objects)| v4::write_instance(&address, &provider, &objects)),
                address: address.to_string(),
            },
        }
    }
}

#[derive(Clone, Debug)]
enum Safe {
    /// So many records are on disk.
    UpTo(u64),
    /// Nothing more can be written.
    Failed(Arc<std::io::Error>),
}

impl Journal {
    /// Begins a journal with what is still in doubt from before. The file is safe when this returns.
    ///
    /// # Errors
    /// When it cannot be written or sealed, or another process is writing it.
    pub(crate) fn begin(
        disk: &dyn Disk,
        path: PathBuf,
        mut header: Header,
        in_doubt: &[Intent],
        group: Duration,
        encryption: &Encryption,
        beside: Option<Arc<dyn Store>>,
        lock_watch: Option<LockWatch>,
    ) -> Result<Journal> {
        let run = header.run.clone();
        let pieces = encryption.pieces().map_err(Error::sealed(&path))?;
        let (pieces, with) = pieces.unzip();
        if let Some(with) = with {
            header.seal_with(with);
        }
        let plain = Lines::default();
        let mut text = line(&plain, 0, &Record::Begin(header), &path)?;
        let lines = match pieces {
            Some(pieces) => Lines::sealed(pieces, &text),
            None => plain,
        };
        for (operation, intent) in (0..).zip(in_doubt) {
            let intent = Record::intent(operation, intent);
            text.extend(line(&lines, operation + 1, &intent, &path)?);
        }
        // Whole or not at all: what an older journal says in doubt must not be lost between the two.
        let locked = |file: &dyn DiskFile| file.os_file().map_or(Ok(()), lock_file);
        let file = disk::replace(disk, &path, &text, locked)
            .map_err(Error::io("beginning the journal", &path))?;
        let mirror = beside.map(|store| Mirror::begin(store, &text, group * UPLOAD));
        let mirror = mirror.transpose()?.map(Arc::new);
        let records = 1 + in_doubt.len() as u64;
        let shared = Arc::new(Shared {
            path,
            lines,
            queue: Mutex::new(Queue {
                pending: Vec::new(),
                deferred: Vec::new(),
                records,
                operations: in_doubt.len() as u64,
                hurry: false,
                closing: false,
            }),
            wake: Condvar::new(),
            safe: watch::Sender::new(Safe::UpTo(records)),
            synced: Condvar::new(),
            lock_watch,
        });
        let thread = std::thread::Builder::new()
            .name("journal".into())
            .spawn({
                let shared = Arc::clone(&shared);
                let mirror = mirror.clone();
                move || shared.write(file, group, mirror.as_deref())
            })
            .map_err(Error::io("starting to write the journal", &shared.path))?;
        Ok(Journal {
            handle: JournalHandle(shared),
            thread: Some(thread),
            run,
            mirror,
        })
    }

    pub fn handle(&self) -> JournalHandle {
        self.handle.clone()
    }

    pub(crate) fn run(&self) -> &Run {
        &self.run
    }

    /// Notes that the whole state is about to be written, and that this is the one. What can wait does so until it is known to be there
    /// ([`Journal::caught_up`]).
    pub(crate) fn checkpoint(&self, serial: u64, digest: String) -> Result<()> {
        let shared = &self.handle.0;
        shared.failure()?;
        let record = Entry::Record(Record::Checkpoint { serial, digest });
        let number = shared.push(&mut shared.lock(), record);
        shared.wait(number)
    }

    /// The whole state has been written, and nothing changed meanwhile: what still waits is in it.
    pub(crate) fn caught_up(&self) {
        let superfluous = std::mem::take(&mut self.handle.0.lock().deferred);
        // Freed without the lock.
        drop(superfluous);
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.handle.0.lock().closing = true;
        self.handle.0.wake.notify_all();
        if let Some(thread) = self.thread.take() {
            // It cannot panic; and what it wrote is safe in any case.
            let _ = thread.join();
        }
        if let Some(mirror) = self.mirror.take().and_then(Arc::into_inner)
            && let Err(error) = mirror.finish()
        {
            tracing::warn!(%error, "the copy of the journal beside the state");
        }
    }
}

impl JournalHandle {
    /// Notes what is about to be done; when this returns, that is on disk and it may be done.
    ///
    /// # Errors
    /// When it cannot be written, or the lock of the state is lost: then it must not be done.
    pub async fn intend(&self, intent: &Intent) -> Result<Operation> {
        if let Some(watch) = &self.0.lock_watch {
            watch.check()?;
        }
        let (number, operation) = self.0.append_operation(intent)?;
        self.0.safe(number).await?;
        Ok(Operation(operation))
    }

    /// Notes how the object that an operation makes can be found again; when this returns, that is on disk.
    pub async fn identified(
        &self,
        operation: Operation,
        address: &ResourceInstance,
        provider: &ProviderConfigRef,
        object: Object,
    ) -> Result<()> {
        let objects = InstanceObjects {
            current: Some(object),
            ..InstanceObjects::default()
        };
        let entry = v4::write_instance(address, provider, &objects);
        let number = self.0.append(Entry::Record(Record::Identified {
            operation: operation.0,
            entry,
        }))?;
        self.0.safe(number).await
    }

    /// Returns when everything that was noted so far is on disk.
    pub async fn settled(&self) -> Result<()> {
        let number = {
            let mut queue = self.0.lock();
            self.0.release(&mut queue);
            queue.records
        };
        self.0.safe(number).await
    }

    /// Notes what has become of an instance, and that the operation is over. It is on disk before anything that is intended
    /// later.
    ///
    /// What `can_wait` is written with the next record that cannot, or after a second, and not at all when the whole state is written before.
    pub fn changed(
        &self,
        operation: Option<Operation>,
        address: &ResourceInstance,
        objects: Option<(&ProviderConfigRef, &InstanceObjects)>,
        can_wait: bool,
    ) -> Result<()> {
        let entry = Entry::Changed {
            operation,
            address: address.clone(),
            objects: objects.map(|(provider, objects)| (provider.clone(), objects.clone())),
        };
        match can_wait {
            true => self.0.defer(entry),
            false => self.0.append(entry).map(|_| ()),
        }
    }
}

fn line(lines: &Lines, number: u64, record: &Record, path: &Path) -> Result<Vec<u8>> {
    let written = lines.write(number, record);
    written.map_err(|reason| Error::Malformed {
        path: path.to_owned(),
        reason,
    })
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failure(&self) -> Result<()> {
        match &*self.safe.borrow() {
            Safe::UpTo(_) => Ok(()),
            Safe::Failed(e) => Err(Error::Journal {
                path: self.path.clone(),
                source: Arc::clone(e),
            }),
        }
    }

    /// Queues a record after those that waited; its number says when it is safe.
    fn append(&self, entry: Entry) -> Result<u64> {
        self.failure()?;
        let mut queue = self.lock();
        self.release(&mut queue);
        Ok(self.push(&mut queue, entry))
    }

    fn defer(&self, entry: Entry) -> Result<()> {
        self.failure()?;
        let mut queue = self.lock();
        if queue.deferred.is_empty() {
            // From now on it looks at the clock.
            self.wake.notify_all();
        }
        queue.deferred.push(entry);
        Ok(())
    }

    /// What has waited waits no longer.
    fn release(&self, queue: &mut Queue) {
        for entry in std::mem::take(&mut queue.deferred) {
            self.push(queue, entry);
        }
    }

    fn append_operation(&self, intent: &Intent) -> Result<(u64, u64)> {
        self.failure()?;
        let mut queue = self.lock();
        let operation = queue.operations;
        queue.operations += 1;
        self.release(&mut queue);
        let intent = Entry::Record(Record::intent(operation, intent));
        let number = self.push(&mut queue, intent);
        Ok((number, operation))
    }

    fn push(&self, queue: &mut Queue, entry: Entry) -> u64 {
        if queue.pending.is_empty() {
            // Otherwise it knows already, and gathers.
            self.wake.notify_all();
        }
        queue.pending.push(entry);
        queue.records += 1;
        queue.records
    }

    /// Somebody waits for what is queued, if anything is.
    fn hurry(&self, queue: &mut Queue) {
        if !queue.pending.is_empty() && !std::mem::replace(&mut queue.hurry, true) {
            self.wake.notify_all();
        }
    }

    async fn safe(&self, number: u64) -> Result<()> {
        self.hurry(&mut self.lock());
        let mut safe = self.safe.subscribe();
        // The sender lives as long as we do.
        let _ = safe
            .wait_for(|safe| match safe {
                Safe::UpTo(done) => *done >= number,
                Safe::Failed(_) => true,
            })
            .await;
        self.failure()
    }

    fn wait(&self, number: u64) -> Result<()> {
        let mut queue = self.lock();
        self.hurry(&mut queue);
        while matches!(*self.safe.borrow(), Safe::UpTo(done) if done < number) {
            queue = self
                .synced
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
        drop(queue);
        self.failure()
    }

    /// The last of so many records, as they are written.
    fn lines_of(&self, last: Vec<Entry>, records: u64) -> std::io::Result<Vec<u8>> {
        let first = records - last.len() as u64;
        let mut bytes = Vec::new();
        for (number, entry) in (first..).zip(last) {
            let line = self.lines.write(number, &entry.into_record());
            bytes.extend(line.map_err(std::io::Error::other)?);
        }
        Ok(bytes)
    }

    /// The thread that writes.
    fn write(&self, mut file: Box<dyn DiskFile>, group: Duration, mirror: Option<&Mirror>) {
        let mut last: Option<Instant> = None;
        loop {
            let mut queue = self.lock();
            while queue.pending.is_empty() && !queue.closing {
                if queue.deferred.is_empty() {
                    queue = self
                        .wake
                        .wait(queue)
                        .unwrap_or_else(PoisonError::into_inner);
                    continue;
                }
                let (woken, waited) = self
                    .wake
                    .wait_timeout(queue, group * PATIENCE)
                    .unwrap_or_else(PoisonError::into_inner);
                queue = woken;
                if waited.timed_out() {
                    self.release(&mut queue);
                }
            }
            if queue.closing {
                self.release(&mut queue);
            }
            // Others may come while the last sync is not long ago.
            while let Some(rest) = last.and_then(|last| group.checked_sub(last.elapsed()))
                && !queue.hurry
                && !queue.closing
            {
                (queue, _) = self
                    .wake
                    .wait_timeout(queue, rest)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            if queue.pending.is_empty() {
                return;
            }
            queue.hurry = false;
            let pending = std::mem::take(&mut queue.pending);
            let records = queue.records;
            drop(queue);
            let written = self.lines_of(pending, records).and_then(|bytes| {
                file.write_all(&bytes)?;
                file.sync()?;
                Ok(bytes)
            });
            last = Some(Instant::now());
            let failed = written.is_err();
            if let (Ok(bytes), Some(mirror)) = (&written, mirror) {
                mirror.append(bytes);
            }
            self.safe.send_replace(match written {
                Ok(_) => Safe::UpTo(records),
                Err(e) => Safe::Failed(Arc::new(e)),
            });
            // Taken and given back: nobody who waits is between looking and sleeping.
            drop(self.lock());
            self.synced.notify_all();
            if failed {
                // A record may be there in part; nothing may follow it.
                return;
            }
        }
    }
}
