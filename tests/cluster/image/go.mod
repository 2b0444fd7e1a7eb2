module wps.test/image

go 1.26
