// Memory that Python objects export as buffers.
//
// Region   a mapping of a file descriptor; unmapped when nothing refers to it any more.
// Memory   a part of a Region, exported by the buffer protocol. Every view of it (memoryview, NumPy
//          array, torch tensor) refers to the Memory, so its end is the end of the last view.
// Handle   the base of what users hold. Its buffer is its Memory's: a view that was made of a
// Handle
//          refers to the Memory and not to the Handle, which can let go of it.
//
// In Python itself this cannot be said before 3.12 (PEP 688): an mmap.mmap keeps a descriptor open
// for each payload and cannot share a slab, and what ctypes exports is always writable. All of it
// is in the stable ABI of 3.11.

#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct {
  PyObject_HEAD char* base;  // NULL: not mapped.
  size_t length;
  off_t offset;    // Of `base` in the file.
  int descriptor;  // Our own, for seal(); -1: none, as it is mapped for reading.
} Region;

typedef struct {
  PyObject_HEAD PyObject* region;
  char* first;
  Py_ssize_t length;
  int is_writable;
  PyObject* weak_references;
} Memory;

typedef struct {
  PyObject_HEAD PyObject* memory;  // A Memory, or NULL.
} Handle;

static PyTypeObject* region_type;
static PyTypeObject* memory_type;

static void free_object(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  const freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
  release(self);
  Py_DECREF(type);
}

static PyObject* new_object(PyTypeObject* type) {
  const allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
  return allocate(type, 0);
}

// ---- Region ----

static PyObject* region_new(PyTypeObject* type, PyObject* arguments, PyObject* keywords) {
  static char* names[] = {"descriptor", "offset", "length", "writable", "populate", NULL};
  int descriptor = -1;
  int is_writable = 0;
  int is_populated = 0;
  long long offset = 0;
  Py_ssize_t length = 0;
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "iLn|pp:Region", names, &descriptor,
                                   &offset, &length, &is_writable, &is_populated)) {
    return NULL;
  }
  const long page = sysconf(_SC_PAGESIZE);
  if (length <= 0 || offset < 0 || offset % page != 0) {
    PyErr_SetString(PyExc_ValueError, "a region has a length, and begins with a page");
    return NULL;
  }
  Region* self = (Region*)new_object(type);
  if (self == NULL) return NULL;
  self->base = NULL;
  self->descriptor = -1;
  const int protection = is_writable ? PROT_READ | PROT_WRITE : PROT_READ;
  void* base = MAP_FAILED;
  Py_BEGIN_ALLOW_THREADS if (is_writable) self->descriptor = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
  if (!is_writable || self->descriptor >= 0) {
    const int flags = MAP_SHARED | (is_populated ? MAP_POPULATE : 0);
    base = mmap(NULL, (size_t)length, protection, flags, descriptor, (off_t)offset);
  }
  Py_END_ALLOW_THREADS if (base == MAP_FAILED) {
    PyErr_SetFromErrno(PyExc_OSError);
    Py_DECREF(self);
    return NULL;
  }
  self->base = base;
  self->length = (size_t)length;
  self->offset = (off_t)offset;
  return (PyObject*)self;
}

static void region_dealloc(PyObject* object) {
  Region* self = (Region*)object;
  if (self->base != NULL) munmap(self->base, self->length);
  if (self->descriptor >= 0) close(self->descriptor);
  free_object(object);
}

static PyObject* region_seal(PyObject* object, PyObject* unused) {
  (void)unused;
  Region* self = (Region*)object;
  if (self->descriptor < 0) Py_RETURN_NONE;
  void* base = mmap(self->base, self->length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED,
                    self->descriptor, self->offset);
  if (base == MAP_FAILED) return PyErr_SetFromErrno(PyExc_OSError);
  close(self->descriptor);
  self->descriptor = -1;
  Py_RETURN_NONE;
}

static PyMethodDef region_methods[] = {
    {"seal", region_seal, METH_NOARGS,
     "Cut it off from its file: what is written from now on is seen here alone."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot region_slots[] = {
    {Py_tp_doc, "A mapping of a file descriptor; unmapped when nothing refers to it any more."},
    {Py_tp_new, region_new},
    {Py_tp_dealloc, region_dealloc},
    {Py_tp_methods, region_methods},
    {0, NULL},
};

static PyType_Spec region_spec = {"payload_manager._memory.Region", sizeof(Region), 0,
                                  Py_TPFLAGS_DEFAULT, region_slots};

// ---- Memory ----

static PyObject* memory_new(PyTypeObject* type, PyObject* arguments, PyObject* keywords) {
  static char* names[] = {"region", "offset", "length", "writable", NULL};
  PyObject* region = NULL;
  Py_ssize_t offset = 0;
  Py_ssize_t length = 0;
  int is_writable = 0;
  if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O!nn|p:Memory", names, region_type,
                                   &region, &offset, &length, &is_writable)) {
    return NULL;
  }
  const Region* whole = (const Region*)region;
  if (offset < 0 || length <= 0 || (size_t)offset > whole->length ||
      (size_t)length > whole->length - (size_t)offset) {
    PyErr_SetString(PyExc_ValueError, "the part does not lie within the region");
    return NULL;
  }
  if (is_writable && whole->descriptor < 0) {
    PyErr_SetString(PyExc_ValueError, "the region is not mapped for writing");
    return NULL;
  }
  Memory* self = (Memory*)new_object(type);
  if (self == NULL) return NULL;
  self->region = Py_NewRef(region);
  self->first = whole->base + offset;
  self->length = length;
  self->is_writable = is_writable;
  self->weak_references = NULL;
  return (PyObject*)self;
}

static void memory_dealloc(PyObject* object) {
  Memory* self = (Memory*)object;
  // Before the bytes go: who is told here ends the lease that kept them.
  if (self->weak_references != NULL) PyObject_ClearWeakRefs(object);
  Py_CLEAR(self->region);
  free_object(object);
}

static int memory_get_buffer(PyObject* object, Py_buffer* view, int flags) {
  Memory* self = (Memory*)object;
  return PyBuffer_FillInfo(view, object, self->first, self->length, !self->is_writable, flags);
}

static PyObject* memory_address(PyObject* object, void* unused) {
  (void)unused;
  return PyLong_FromVoidPtr(((Memory*)object)->first);
}

static PyMemberDef memory_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Memory, weak_references), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef memory_properties[] = {
    {"address", memory_address, NULL, "Where the first byte is.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot memory_slots[] = {
    {Py_tp_doc, "A part of a Region, exported as a buffer."},
    {Py_tp_new, memory_new},
    {Py_tp_dealloc, memory_dealloc},
    {Py_tp_members, memory_members},
    {Py_tp_getset, memory_properties},
    {Py_bf_getbuffer, memory_get_buffer},
    {0, NULL},
};

static PyType_Spec memory_spec = {"payload_manager._memory.Memory", sizeof(Memory), 0,
                                  Py_TPFLAGS_DEFAULT, memory_slots};

// ---- Handle ----

static void handle_dealloc(PyObject* object) {
  Py_CLEAR(((Handle*)object)->memory);
  free_object(object);
}

static int handle_get_buffer(PyObject* object, Py_buffer* view, int flags) {
  Handle* self = (Handle*)object;
  if (self->memory == NULL) {
    PyErr_SetString(PyExc_ValueError, "the payload is closed, and has no bytes any more");
    view->obj = NULL;
    return -1;
  }
  // The view will name the Memory as its owner.
  return PyObject_GetBuffer(self->memory, view, flags);
}

// Without it NumPy would keep the Handle, which may let go, in place of the buffer's owner.
static void handle_release_buffer(PyObject* object, Py_buffer* view) {
  (void)object;
  (void)view;
}

static PyObject* handle_attach(PyObject* object, PyObject* memory) {
  Handle* self = (Handle*)object;
  if (!PyObject_TypeCheck(memory, memory_type)) {
    PyErr_SetString(PyExc_TypeError, "a handle is attached to a Memory");
    return NULL;
  }
  PyObject* before = self->memory;
  self->memory = Py_NewRef(memory);
  Py_XDECREF(before);
  Py_RETURN_NONE;
}

static PyObject* handle_detach(PyObject* object, PyObject* unused) {
  (void)unused;
  Py_CLEAR(((Handle*)object)->memory);
  Py_RETURN_NONE;
}

static PyObject* handle_is_attached(PyObject* object, void* unused) {
  (void)unused;
  return PyBool_FromLong(((Handle*)object)->memory != NULL);
}

static PyObject* handle_address(PyObject* object, void* unused) {
  (void)unused;
  const Handle* self = (const Handle*)object;
  if (self->memory == NULL) {
    PyErr_SetString(PyExc_ValueError, "the payload is closed, and has no bytes any more");
    return NULL;
  }
  return PyLong_FromVoidPtr(((Memory*)self->memory)->first);
}

static PyMethodDef handle_methods[] = {
    {"_attach", handle_attach, METH_O, "Export this Memory's bytes."},
    {"_detach", handle_detach, METH_NOARGS, "Let go of the Memory; views keep it."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef handle_properties[] = {
    {"_is_attached", handle_is_attached, NULL, "Whether there are bytes to export.", NULL},
    {"address", handle_address, NULL, "Where the first byte is in this process.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot handle_slots[] = {
    {Py_tp_doc, "The base of what users hold: exports its Memory's bytes."},
    {Py_tp_dealloc, handle_dealloc},
    {Py_tp_methods, handle_methods},
    {Py_tp_getset, handle_properties},
    {Py_bf_getbuffer, handle_get_buffer},
    {Py_bf_releasebuffer, handle_release_buffer},
    {0, NULL},
};

static PyType_Spec handle_spec = {"payload_manager._memory.Handle", sizeof(Handle), 0,
                                  Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, handle_slots};

// ---- the module ----

static PyTypeObject* add_type(PyObject* module, PyType_Spec* spec) {
  PyTypeObject* type = (PyTypeObject*)PyType_FromModuleAndSpec(module, spec, NULL);
  if (type == NULL || PyModule_AddType(module, type) != 0) return NULL;
  return type;
}

static struct PyModuleDef memory_module = {
    PyModuleDef_HEAD_INIT,
    "payload_manager._memory",
    "Memory that exports buffers.",
    -1,
    NULL,
    NULL,
    NULL,
    NULL,
    NULL,
};

PyMODINIT_FUNC PyInit__memory(void) {
  PyObject* module = PyModule_Create(&memory_module);
  if (module == NULL) return NULL;
  region_type = add_type(module, &region_spec);
  memory_type = region_type != NULL ? add_type(module, &memory_spec) : NULL;
  if (memory_type == NULL || add_type(module, &handle_spec) == NULL) {
    Py_DECREF(module);
    return NULL;
  }
  return module;
}
