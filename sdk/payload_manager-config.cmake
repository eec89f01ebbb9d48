# find_package(payload_manager [COMPONENTS sdk client])
# pm::sdk: the headers for plugins. pm::client: the client library, where it is installed and the
# libraries that it needs are found.

include(${CMAKE_CURRENT_LIST_DIR}/payload_manager-sdk.cmake)
set(payload_manager_sdk_FOUND TRUE)

if(EXISTS ${CMAKE_CURRENT_LIST_DIR}/payload_manager-client.cmake)
  find_package(Protobuf QUIET)
  find_package(Threads QUIET)
  if(Protobuf_FOUND AND Threads_FOUND)
    include(${CMAKE_CURRENT_LIST_DIR}/payload_manager-client.cmake)
    set(payload_manager_client_FOUND TRUE)
  endif()
endif()

foreach(component ${payload_manager_FIND_COMPONENTS})
  if(payload_manager_FIND_REQUIRED_${component} AND NOT payload_manager_${component}_FOUND)
    set(payload_manager_FOUND FALSE)
    set(payload_manager_NOT_FOUND_MESSAGE
      "component ${component} is not installed, or protobuf and threads are not found")
  endif()
endforeach()
